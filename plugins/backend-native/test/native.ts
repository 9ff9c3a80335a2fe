import { tf, useBackend, type KernelName, type KernelTable } from "@deft-js/tensor";
import { describe } from "vitest";
import { nativeStatus, registerNative, type NativeOptions } from "../src/index.ts";

const status = nativeStatus();
if (!status.built) console.warn(`native back-end: tests skipped. ${status.problem ?? ""}`);

/** The instruction sets that this machine can run. */
export const LEVELS = (status.addon?.available ?? "portable").split(",") as NonNullable<NativeOptions["isa"]>[];

/** Makes the native back-end active. */
export async function start(options: NativeOptions = {}): Promise<void> {
  registerNative(options);
  await useBackend("native");
}

/** A suite that runs once for each instruction set, or is skipped when the addon is not built. */
export function describeNative(name: string, body: (isa: NonNullable<NativeOptions["isa"]>) => void): void {
  describe.skipIf(!status.built).each(LEVELS)(`${name} (%s)`, body);
}

/** Numbers that are neither small integers nor symmetric, the same at each call. */
export function numbers(n: number, seed = 1, scale = 1): Float32Array {
  return Float32Array.from({ length: n }, (_, i) => Math.fround(scale * (Math.sin(i * 12.9898 + seed * 78.233) * 1.3 + 0.1)));
}

type Input = readonly [values: Float32Array | Int32Array, shape: readonly number[]];

/** A kernel's input that may be left out. */
export function optional(values: ArrayLike<number> | undefined, shape: readonly number[]): Input | undefined {
  return values === undefined ? undefined : [values as Float32Array, shape];
}

/** Runs a kernel on host values and reads its outputs. */
export function run<N extends KernelName>(name: N, inputs: Readonly<Record<string, Input | undefined>>, attrs: KernelTable[N]): Float32Array[] {
  return tf.tidy(() => runOn(name, inputs, attrs, {}));
}

function runOn<N extends KernelName>(name: N, inputs: Readonly<Record<string, Input | undefined>>, attrs: KernelTable[N], more: Readonly<Record<string, tf.Tensor>>): Float32Array[] {
  const tensors: Record<string, tf.Tensor> = { ...more };
  for (const [key, input] of Object.entries(inputs)) if (input) tensors[key] = tf.tensor(input[0], [...input[1]], input[0] instanceof Int32Array ? "int32" : "float32");
  const outputs = tf.engine().runKernel(name, tensors, attrs as unknown as tf.NamedAttrMap) as tf.Tensor | tf.Tensor[];
  return (Array.isArray(outputs) ? outputs : [outputs]).map((tensor) => Float32Array.from(tensor.dataSync()));
}

/** As `run`, with room of `size` for an output that the kernel writes into its input of this name; it comes last. */
export function runInto<N extends KernelName>(name: N, inputs: Readonly<Record<string, Input | undefined>>, attrs: KernelTable[N], [into, size]: readonly [string, number]): Float32Array[] {
  return tf.tidy(() => {
    const room = tf.fill([size], NaN);
    const outputs = runOn(name, inputs, attrs, { [into]: room });
    return [...outputs, Float32Array.from(room.dataSync())];
  });
}

/** The largest |actual − expected| over the largest |expected|; infinite when lengths or NaNs differ. */
export function error(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let [difference, size] = [0, 1e-30];
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i] as number, expected[i] as number];
    if (Number.isNaN(a) && Number.isNaN(e)) continue;
    if (Number.isNaN(a) || Number.isNaN(e)) return Infinity;
    difference = Math.max(difference, Math.abs(a - e));
    size = Math.max(size, Math.abs(e));
  }
  return difference / size;
}

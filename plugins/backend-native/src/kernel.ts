import { tf, type KernelName, type KernelTable } from "@deft-js/tensor";
import type { NativeBackend } from "./backend.ts";

/** The tensors given to a kernel, by name; optional ones may be absent. */
export type Inputs = Readonly<Record<string, tf.TensorInfo>>;
/** One output or several. */
export type Outputs = tf.TensorInfo | tf.TensorInfo[];
/** A fused kernel of the toolkit. */
export type FusedKernel<N extends KernelName> = (backend: NativeBackend, inputs: Inputs, attrs: KernelTable[N]) => Outputs;
/** An override of a kernel of tfjs: gives `undefined` for cases that tfjs's own kernel should do. */
export type TfjsKernel = (backend: NativeBackend, inputs: Inputs, attrs: Readonly<Record<string, unknown>>) => Outputs | undefined;

/** The input `name`; the toolkit's ops always give the required ones. */
export function required(inputs: Inputs, name: string, kernel: string): tf.TensorInfo {
  const tensor = inputs[name];
  if (tensor === undefined) throw new RangeError(`native ${kernel}: input ${name} is missing.`);
  return tensor;
}

/** The number of elements. */
export function sizeOf(info: tf.TensorInfo): number {
  return tf.util.sizeFromShape(info.shape);
}

/** A tensor as a matrix: its last axis, and the product of the others. */
export function asMatrix(info: tf.TensorInfo): [rows: number, columns: number] {
  const columns = info.shape.at(-1) ?? 1;
  return [tf.util.sizeFromShape(info.shape.slice(0, -1)), columns];
}

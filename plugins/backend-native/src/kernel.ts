import type { KernelName, KernelTable, tf } from "@deft-js/tensor";
import type { NativeBackend } from "./backend.ts";

export { asMatrix, sizeOf } from "@deft-js/tensor";

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

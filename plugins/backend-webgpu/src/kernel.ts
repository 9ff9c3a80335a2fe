import { DeftError, type KernelName, type KernelTable, type tf } from "@deft-js/tensor";
import type { Compute } from "./compute.ts";

export { asMatrix, sizeOf } from "@deft-js/tensor";

/** The tensors given to a kernel, by name; optional ones may be absent. */
export type Inputs = Readonly<Record<string, tf.TensorInfo | undefined>>;
/** A fused kernel of the toolkit. */
export type FusedKernel<N extends KernelName> = (compute: Compute, inputs: Inputs, attrs: KernelTable[N]) => tf.TensorInfo[];
/** A kernel of tfjs, done here: gives `undefined` for cases that tfjs's own should do. */
export type TfjsKernel = (compute: Compute, inputs: Inputs, attrs: Readonly<Record<string, unknown>>) => tf.TensorInfo | undefined;

/** The input `name`; the toolkit's ops always give the required ones. */
export function required(inputs: Inputs, name: string): tf.TensorInfo {
  const tensor = inputs[name];
  if (tensor === undefined) throw new DeftError("tensor.kernel", `webgpu: a kernel needs the input ${name}, got ${Object.keys(inputs).join(", ")}. Report this as a defect.`);
  return tensor;
}

/** The tensors that are there, by name. */
export function present(inputs: Inputs): Readonly<Record<string, tf.TensorInfo>> {
  const there: Record<string, tf.TensorInfo> = {};
  for (const name in inputs) if (inputs[name] !== undefined) there[name] = inputs[name];
  return there;
}

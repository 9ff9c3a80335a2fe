import { DeftError } from "./errors.ts";
import type { KernelName, KernelTable } from "./kernels.ts";
import { tf, type Tensor } from "./tfjs.ts";

/** Whether the active back-end brings this fused kernel. */
export function hasKernel(name: KernelName): boolean {
  return tf.getKernel(name, tf.getBackend()) !== undefined;
}

/** Runs a fused kernel of the active back-end, or gives `undefined` when there is none. Inputs that are `undefined` are left out. */
export function runKernel<N extends KernelName>(name: N, inputs: Readonly<Record<string, Tensor | undefined>>, attrs: KernelTable[N]): Tensor[] | undefined {
  if (!hasKernel(name)) return undefined;
  const given: Record<string, Tensor> = {};
  for (const [key, tensor] of Object.entries(inputs)) if (tensor !== undefined) given[key] = tensor;
  const outputs: unknown = tf.engine().runKernel(name, given, attrs as unknown as tf.NamedAttrMap);
  return Array.isArray(outputs) ? (outputs as Tensor[]) : [outputs as Tensor];
}

/** The output at `index` of a kernel that promises it. */
export function output(outputs: readonly Tensor[], index: number, kernel: KernelName): Tensor {
  const tensor = outputs[index];
  if (tensor === undefined) throw new DeftError("tensor.kernel", `${kernel}: back-end ${tf.getBackend()} gave ${outputs.length} outputs, number ${index} is missing. Report this to the back-end.`);
  return tensor;
}

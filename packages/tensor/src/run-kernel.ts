import { DeftError } from "./errors.ts";
import type { KernelName, KernelTable } from "./kernels.ts";
import { tf, type Tensor } from "./tfjs.ts";

/** The kernels of one back-end that were asked for: tfjs makes a new string for every look. */
let found = { backend: "", kernels: new Map<string, tf.KernelConfig>() };

/** The active back-end's kernel of this name. */
function kernelOf(name: string): tf.KernelConfig | undefined {
  const backend = tf.getBackend();
  if (found.backend !== backend) found = { backend, kernels: new Map() };
  const known = found.kernels.get(name);
  if (known !== undefined) return known;
  const kernel = tf.getKernel(name, backend) as tf.KernelConfig | undefined;
  if (kernel !== undefined) found.kernels.set(name, kernel);
  return kernel;
}

/** Runs a fused kernel of the active back-end, past tfjs's own tape and profile, or gives `undefined` when there is none. Inputs may be `undefined`: those are left out. */
export function runKernel<N extends KernelName>(name: N, inputs: Readonly<Record<string, Tensor | undefined>>, attrs: KernelTable[N]): Tensor[] | undefined {
  const kernel = kernelOf(name);
  if (kernel === undefined) return undefined;
  const outputs = kernel.kernelFunc({ inputs: inputs as tf.NamedTensorInfoMap, attrs: attrs as unknown as tf.NamedAttrMap, backend: tf.backend() });
  return (Array.isArray(outputs) ? outputs : [outputs]).map((made) => tf.engine().makeTensorFromTensorInfo(made) as Tensor);
}

/** The output at `index` of a kernel that promises it. */
export function output(outputs: readonly Tensor[], index: number, kernel: KernelName): Tensor {
  const tensor = outputs[index];
  if (tensor === undefined) throw new DeftError("tensor.kernel", `${kernel}: back-end ${tf.getBackend()} gave ${outputs.length} outputs, number ${index} is missing. Report this to the back-end.`);
  return tensor;
}

/** The result of one of tfjs's own kernels, past its tape and profile, or `undefined` when the active back-end has none of this name. */
export function runPlain(name: string, inputs: Readonly<Record<string, Tensor>>, attrs: Readonly<Record<string, unknown>> = {}): Tensor | undefined {
  const kernel = kernelOf(name);
  if (kernel === undefined) return undefined;
  return tf.engine().makeTensorFromTensorInfo(kernel.kernelFunc({ inputs, attrs: attrs as tf.NamedAttrMap, backend: tf.backend() }) as tf.TensorInfo) as Tensor;
}

/** A second handle on a tensor's values, as `clone` gives it. */
export function handleOn(x: Tensor): Tensor {
  return runPlain(tf.Identity, { x }) ?? x.clone();
}

/** a + b without a record. */
export function plus(a: Tensor, b: Tensor): Tensor {
  const alike = a.dtype === b.dtype && tf.util.arraysEqual(a.shape, b.shape); // nothing to convert, nothing to broadcast
  return (alike ? runPlain(tf.Add, { a, b }) : undefined) ?? tf.add(a, b);
}

import { tf } from "@deft-js/tensor";
import type { NativeBackend } from "./backend.ts";
import { FUSED } from "./fused/index.ts";
import type { FusedKernel, Inputs, Outputs, TfjsKernel } from "./kernel.ts";
import { ELEMENTWISE } from "./tfjs/elementwise.ts";
import { REDUCTIONS } from "./tfjs/reduce.ts";
import { SHAPES } from "./tfjs/shape.ts";

const NAME = "native";

type KernelCall = Parameters<tf.KernelFunc>[0];

/** tfjs's kernels that give their input's data another handle, without a look at the values. */
const HANDLES: ReadonlySet<string> = new Set(["Identity", "Reshape"]);

/** tfjs's own kernel over the same storage; its results must not share memory that the pool may hand out again. */
function guarded(kernel: tf.KernelFunc): tf.KernelFunc {
  return (call) => {
    for (const input of Object.values(call.inputs).flat()) if (input !== undefined) (call.backend as NativeBackend).touch(input as tf.TensorInfo);
    const outputs = kernel(call);
    for (const output of Array.isArray(outputs) ? outputs : [outputs]) (call.backend as NativeBackend).unshare(output);
    return outputs;
  };
}

function fused(kernel: FusedKernel<never>): tf.KernelFunc {
  const run = (backend: NativeBackend, { inputs, attrs }: KernelCall): Outputs => kernel(backend, inputs as Inputs, attrs as never);
  return (call) => (call.backend as NativeBackend).run(run, call);
}

function override(kernel: TfjsKernel, otherwise: tf.KernelFunc): tf.KernelFunc {
  const run = (backend: NativeBackend, call: KernelCall): Outputs | undefined => kernel(backend, call.inputs as Inputs, call.attrs ?? {});
  return (call) => (call.backend as NativeBackend).run(run, call) ?? otherwise(call);
}

/** Registers all kernels for the back-end `native`: the fused ones, overrides of tfjs's hot ones, and tfjs's own for the rest. */
export function registerKernels(): void {
  const overrides: Readonly<Record<string, TfjsKernel>> = { ...ELEMENTWISE, ...REDUCTIONS, ...SHAPES };
  for (const config of tf.getKernelsForBackend("cpu")) {
    const { kernelName } = config;
    if (kernelName in FUSED) continue;
    const own = overrides[kernelName];
    const rest = HANDLES.has(kernelName) ? config.kernelFunc : guarded(config.kernelFunc);
    tf.registerKernel({ ...config, backendName: NAME, kernelFunc: own === undefined ? rest : override(own, rest) });
  }
  for (const [kernelName, kernel] of Object.entries(FUSED)) tf.registerKernel({ kernelName, backendName: NAME, kernelFunc: fused(kernel as FusedKernel<never>) });
}

import { tf } from "@deft-js/tensor";
import type { FusedKernel, Inputs, TfjsKernel } from "./kernel.ts";
import { FUSED, OVERRIDES } from "./kernels/index.ts";
import type { WebGpuBackend } from "./tfjs-backend.ts";

const NAME = "webgpu";

function fused(kernel: FusedKernel<never>): tf.KernelFunc {
  return ({ inputs, backend, attrs }) => kernel((backend as WebGpuBackend).compute, inputs as Inputs, attrs as never);
}

function override(kernel: TfjsKernel, otherwise: tf.KernelFunc | undefined): tf.KernelFunc {
  return (call) => {
    const made = kernel((call.backend as WebGpuBackend).compute, call.inputs as Inputs, call.attrs ?? {}) ?? otherwise?.(call);
    if (made === undefined) throw new RangeError("webgpu: a kernel that stands alone must do every case. Report this as a defect.");
    return made;
  };
}

/** Registers the kernels for `webgpu`: the fused ones, and those that stand in for tfjs's. */
export function registerKernels(): void {
  for (const [kernelName, kernel] of Object.entries(FUSED)) tf.registerKernel({ kernelName, backendName: NAME, kernelFunc: fused(kernel as FusedKernel<never>) });
  for (const [kernelName, kernel] of Object.entries(OVERRIDES)) {
    const config = tf.getKernel(kernelName, NAME);
    if (config !== undefined) tf.unregisterKernel(kernelName, NAME);
    tf.registerKernel({ kernelName, backendName: NAME, kernelFunc: override(kernel, config?.kernelFunc) });
  }
}

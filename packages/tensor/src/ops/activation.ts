import type { ActivationKind } from "../kernels.ts";
import { output, runKernel } from "../run-kernel.ts";
import { differentiable, type Gradient } from "../tape.ts";
import { tf, type Tensor } from "../tfjs.ts";
import { composedActivation, composedDerivative, derivesFromOutput } from "./composed-activation.ts";
import { DENSITY_GRADIENT, type DensityGradient } from "./density.ts";
import { addTo } from "./elementwise.ts";

/** f(x) without a gradient, by the back-end's kernel or the composed form. */
export function activate(x: Tensor, kind: ActivationKind): Tensor {
  const fused = runKernel("DeftActivation", { x }, { kind });
  return fused === undefined ? composedActivation(x, kind) : output(fused, 0, "DeftActivation");
}

/** What f′ is taken from: y or x, as `derivesFromOutput` says, or f′ itself where a kernel has left it. */
export type SlopeSource = { readonly at: Tensor } | { readonly slope: Tensor };

/** dx = dy·f′; a pending density gradient is taken into the same pass where the back-end has the kernel. */
export function activationGradient(gradient: Gradient, source: SlopeSource, kind: ActivationKind): Tensor {
  const density = gradient.take<DensityGradient>(DENSITY_GRADIENT);
  try {
    const dy = density === undefined ? gradient.value() : gradient.summed;
    const attrs = density === undefined ? { kind } : { kind, epsilon: density.epsilon };
    const from = "slope" in source ? { slope: source.slope, y: density?.values } : { [derivesFromOutput(kind) ? "y" : "x"]: source.at };
    const fused = runKernel("DeftActivationGradient", { ...from, dy, weights: density?.weights, dp: density?.dp, penalty: density?.penalty }, attrs);
    if (fused !== undefined) return output(fused, 0, "DeftActivationGradient");
    const part = density?.compute();
    const total = part === undefined ? gradient.value() : addTo(dy, part);
    return tf.mul(total, "slope" in source ? source.slope : composedDerivative(source.at, kind));
  } finally {
    density?.free();
  }
}

/** How to make y = f(x) again where the derivative is taken: `at` is y itself, or x. */
export function remakeActivation(at: Tensor, kind: ActivationKind): () => Tensor {
  return () => (derivesFromOutput(kind) ? at : activate(at, kind));
}

/** y = f(x) for one of the MLP activations. Exact zeros of the GELU forms fall where PyTorch's float32 ones do. */
export function activation(x: Tensor, kind: ActivationKind): Tensor {
  let at = x;
  return differentiable({
    name: kind,
    inputs: [x],
    forward: () => {
      const y = activate(x, kind);
      if (derivesFromOutput(kind)) at = y;
      return { output: y, saved: [at], remake: remakeActivation(at, kind) };
    },
    backward: (dy) => [activationGradient(dy, { at }, kind)],
  });
}

/** max(x, 0), with derivative 0 at 0. */
export const relu = (x: Tensor): Tensor => activation(x, "relu");
/** x·Φ(x), the erf form. */
export const gelu = (x: Tensor): Tensor => activation(x, "gelu");
/** ½x(1 + tanh(√(2/π)(x + 0.044715x³))). */
export const geluNew = (x: Tensor): Tensor => activation(x, "gelu_new");
/** x·σ(x). */
export const silu = (x: Tensor): Tensor => activation(x, "silu");
/** tanh x. */
export const tanh = (x: Tensor): Tensor => activation(x, "tanh");
/** σ(x) = 1/(1 + e⁻ˣ). */
export const sigmoid = (x: Tensor): Tensor => activation(x, "sigmoid");

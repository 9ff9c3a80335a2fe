import { output, runKernel } from "../run-kernel.ts";
import { hold, release } from "../scope.ts";
import { differentiable, remakeOf, type DeferredGradient } from "../tape.ts";
import { tf, type Tensor } from "../tfjs.ts";

/** The `kind` of the density loss's deferred gradient. */
export const DENSITY_GRADIENT = "density";

/** da = dp[b]·w[b,s]·2aε/(a²+ε)², left for the activation's backward kernel to compute in its own pass. */
export interface DensityGradient extends DeferredGradient {
  readonly kind: typeof DENSITY_GRADIENT;
  readonly epsilon: number;
  /** w, [batch, seq]. */
  readonly weights: Tensor;
  /** The gradient by the penalty, [batch]. */
  readonly dp: Tensor;
}

/** Options of `densityPenalty`. */
export interface DensityPenaltyOptions {
  /** ε > 0 of the surrogate. */
  readonly epsilon: number;
  /** w, [batch, seq]: the share of each position, e.g. mask/(Σmask·n). No gradient flows to it. */
  readonly weights: Tensor;
}

/**
 * p_b = Σ_{s,i} w[b,s]·a²/(a²+ε), a smooth count of the non-zeros of each example (arXiv:2402.01911, equation 2).
 * @param a activations, [batch, seq, n]
 * @returns p, [batch]
 */
export function densityPenalty(a: Tensor, options: DensityPenaltyOptions): Tensor {
  const { epsilon, weights } = options;
  const remake = remakeOf(a);
  return differentiable({
    name: "densityPenalty",
    inputs: [a],
    forward: () => {
      const fused = runKernel("DeftDensityPenalty", { a, weights }, { epsilon });
      return { output: fused === undefined ? composed(a, options) : output(fused, 0, "DeftDensityPenalty"), saved: remake === undefined ? [a, weights] : [weights] };
    },
    backward: (dy) => {
      const dp = dy.value();
      dy.takeSum(); // it outlives this step: the deferred part owns it
      return [deferred({ a, remake, epsilon, weights, dp })];
    },
  });
}

function composed(a: Tensor, { epsilon, weights }: DensityPenaltyOptions): Tensor {
  const squared = tf.square(a);
  const share = tf.sum(tf.div(squared, tf.add(squared, epsilon)), -1); // [batch, seq]
  return tf.sum(tf.mul(share, weights), -1);
}

interface DeferredParts {
  readonly a: Tensor;
  /** Makes the values of `a` again, which is not held then. */
  readonly remake: (() => Tensor) | undefined;
  readonly weights: Tensor;
  readonly dp: Tensor;
  readonly epsilon: number;
}

/** Takes ownership of `dp`. */
function deferred({ a, remake, weights, dp, epsilon }: DeferredParts): DensityGradient {
  const held = remake === undefined ? [a, weights] : [weights];
  held.forEach(hold);
  return {
    kind: DENSITY_GRADIENT,
    epsilon,
    weights,
    dp,
    compute: () => {
      const values = remake === undefined ? a : remake();
      const fused = runKernel("DeftDensityPenaltyGradient", { a: values, weights, dy: dp }, { epsilon });
      if (fused !== undefined) return output(fused, 0, "DeftDensityPenaltyGradient");
      const slope = tf.div(tf.mul(values, 2 * epsilon), tf.square(tf.add(tf.square(values), epsilon)));
      return tf.mul(slope, tf.expandDims(tf.mul(weights, tf.expandDims(dp, 1)), 2));
    },
    free: () => {
      dp.dispose();
      held.forEach(release);
    },
  };
}

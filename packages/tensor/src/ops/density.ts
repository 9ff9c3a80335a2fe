import { output, runKernel } from "../run-kernel.ts";
import { hold, release } from "../scope.ts";
import { differentiable, remakeOf, type DeferredGradient } from "../tape.ts";
import { tf, type Tensor } from "../tfjs.ts";

/** The `kind` of the density loss's deferred gradient. */
export const DENSITY_GRADIENT = "density";

/** da = w[b,s]·2aε/(a²+ε)², left for the activation's backward kernel to compute in its own pass. */
export interface DensityGradient extends DeferredGradient {
  readonly kind: typeof DENSITY_GRADIENT;
  readonly epsilon: number;
  /** w, [batch, seq]: the penalty's weights times its upstream gradient. */
  readonly weights: Tensor;
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
    backward: (dy) => [deferred({ a, remake, epsilon, weights: tf.keep(tf.mul(weights, tf.expandDims(dy.value(), 1))) })],
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
  readonly epsilon: number;
}

function deferred({ a, remake, weights, epsilon }: DeferredParts): DensityGradient {
  if (remake === undefined) hold(a);
  return {
    kind: DENSITY_GRADIENT,
    epsilon,
    weights,
    compute: () => {
      const values = remake === undefined ? a : remake();
      const ones = tf.ones([a.shape[0] ?? 0]);
      const fused = runKernel("DeftDensityPenaltyGradient", { a: values, weights, dy: ones }, { epsilon });
      if (fused !== undefined) return output(fused, 0, "DeftDensityPenaltyGradient");
      const slope = tf.div(tf.mul(values, 2 * epsilon), tf.square(tf.add(tf.square(values), epsilon)));
      return tf.mul(slope, tf.expandDims(weights, 2));
    },
    free: () => {
      weights.dispose();
      if (remake === undefined) release(a);
    },
  };
}

import { output, runKernel } from "../run-kernel.ts";
import { hold, release, scope } from "../scope.ts";
import { differentiable, remakeOf, type DeferredGradient } from "../tape.ts";
import { tf, type Tensor } from "../tfjs.ts";
import { demandShape } from "./check.ts";

/** The `kind` of the density loss's deferred gradient. */
export const DENSITY_GRADIENT = "density";

/** da = dp[b]·w[b,s]·2aε/(a²+ε)², left for the activation's backward kernel to compute in its own pass. */
export interface DensityGradient extends DeferredGradient {
  readonly kind: typeof DENSITY_GRADIENT;
  readonly epsilon: number;
  /** a, where it is held: what made it saves too little to make it again. */
  readonly values: Tensor | undefined;
  /** w, [batch, seq]. */
  readonly weights: Tensor;
  /** The gradient by the penalty, [batch]. */
  readonly dp: Tensor;
  /** p where it is late: the kernel that takes this part writes it. */
  readonly penalty: Tensor | undefined;
}

/** Options of `densityPenalty`. */
export interface DensityPenaltyOptions {
  /** ε > 0 of the surrogate. */
  readonly epsilon: number;
  /** w, [batch, seq]: the share of each position, e.g. mask/(Σmask·n). No gradient flows to it. */
  readonly weights: Tensor;
  /**
   * While a gradient is recorded, p may be computed on the way back, where the activation is read anyway: until then it is NaN on a back-end that makes use of this.
   * For a p that nothing reads before the way back. False when left out.
   */
  readonly late?: boolean;
}

/**
 * p_b = Σ_{s,i} w[b,s]·a²/(a²+ε), a smooth count of the non-zeros of each example (arXiv:2402.01911, equation 2).
 * @param a activations, [batch, seq, n]
 * @returns p, [batch]
 * @throws DeftError `tensor.shape`
 */
export function densityPenalty(a: Tensor, options: DensityPenaltyOptions): Tensor {
  const { epsilon, weights } = options;
  demandShape("densityPenalty", "weights", weights, a.shape.slice(0, -1));
  const remake = remakeOf(a);
  let penalty: Tensor | undefined;
  return differentiable({
    name: "densityPenalty",
    inputs: [a],
    forward: (recording) => {
      const late = recording && options.late === true;
      const fused = runKernel("DeftDensityPenalty", { a, weights }, { epsilon, late });
      const p = fused === undefined ? composed(a, options) : output(fused, 0, "DeftDensityPenalty");
      if (late && fused !== undefined) penalty = p;
      return { output: p, saved: held({ a, remake, weights, penalty }) };
    },
    backward: (dy) => {
      const dp = dy.value();
      dy.takeSum(); // it outlives this step: the deferred part owns it
      return [deferred({ a, remake, epsilon, weights, penalty, dp })];
    },
  });
}

/**
 * w[b,s] = mask[b,s]/(max(Σ_s mask[b,s], 1)·n): the share of a position and neuron in the mean over those that the mask names; 0 all over an example without any.
 * @param mask 1 where a position counts and 0 elsewhere, [batch, seq]; no gradient flows to it
 * @param neurons n, of a position
 * @returns w, [batch, seq]: the weights of `densityPenalty`
 */
export function positionWeights(mask: Tensor, neurons: number): Tensor {
  const fused = runKernel("DeftPositionWeights", { mask }, { neurons });
  if (fused !== undefined) return output(fused, 0, "DeftPositionWeights");
  return scope(() => tf.div(mask, tf.mul(tf.maximum(tf.sum(mask, -1, true), 1), neurons)));
}

function composed(a: Tensor, { epsilon, weights }: DensityPenaltyOptions): Tensor {
  const squared = tf.square(a);
  const share = tf.sum(tf.div(squared, tf.add(squared, epsilon)), -1); // [batch, seq]
  return tf.sum(tf.mul(share, weights), -1);
}

interface PenaltyParts {
  readonly a: Tensor;
  /** Makes the values of `a` again, which is not held then. */
  readonly remake: (() => Tensor) | undefined;
  readonly weights: Tensor;
  readonly penalty: Tensor | undefined;
}

/** What must live until the gradient has gone through the activation. */
function held({ a, remake, weights, penalty }: PenaltyParts): readonly Tensor[] {
  return [...(remake === undefined ? [a] : []), weights, ...(penalty === undefined ? [] : [penalty])];
}

/** Takes ownership of `dp`. */
function deferred(parts: PenaltyParts & { readonly dp: Tensor; readonly epsilon: number }): DensityGradient {
  const { a, remake, weights, penalty, dp, epsilon } = parts;
  const holding = held(parts);
  holding.forEach(hold);
  return {
    kind: DENSITY_GRADIENT,
    epsilon,
    values: remake === undefined ? a : undefined,
    weights,
    dp,
    penalty,
    compute: () => {
      const values = remake === undefined ? a : remake();
      const fused = runKernel("DeftDensityPenaltyGradient", { a: values, weights, dy: dp, penalty }, { epsilon });
      if (fused !== undefined) return output(fused, 0, "DeftDensityPenaltyGradient");
      const slope = tf.div(tf.mul(values, 2 * epsilon), tf.square(tf.add(tf.square(values), epsilon)));
      return tf.mul(slope, tf.expandDims(tf.mul(weights, tf.expandDims(dp, 1)), 2));
    },
    free: () => {
      dp.dispose();
      holding.forEach(release);
    },
  };
}

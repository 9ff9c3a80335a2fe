import { ops, type TappedActivation } from "@deft-js/core";

/** Whether padded positions count. */
export type Padding = "exclude" | "include";

/** The density of one layer. */
export interface LayerDensity {
  readonly activation: TappedActivation;
  /** p, [batch]. */
  readonly perExample: ops.Tensor;
}

/**
 * The smooth density of each layer and example, p_b = mean over positions and neurons of a²/(a²+ε), with the gradient by the
 * activations. Without padding the mean goes over the positions whose mask is 1; an example without any has density 0.
 * @param activations values [batch, seq, dFf], masks [batch, seq]
 */
export function layerDensities(activations: readonly TappedActivation[], options: { readonly epsilon: number; readonly padding: Padding }): readonly LayerDensity[] {
  const shares = new Map<ops.Tensor, ops.Tensor>();
  return activations.map((activation) => {
    const { value, mask } = activation;
    const neurons = value.shape[2] ?? 0;
    let share = shares.get(mask);
    if (share === undefined) shares.set(mask, (share = positionShares(mask, options.padding)));
    return { activation, perExample: ops.densityPenalty(value, { epsilon: options.epsilon, weights: ops.scale(share, 1 / neurons) }) };
  });
}

/** The share of each position in its example's mean, [batch, seq]: 1/seq, or mask/Σmask. */
function positionShares(mask: ops.Tensor, padding: Padding): ops.Tensor {
  if (padding === "include") return ops.scale(ops.ones(mask.shape), 1 / (mask.shape[1] ?? 1));
  const counts = ops.clip(ops.sum(mask, { axes: [1], keepDims: true }), 1, Number.MAX_SAFE_INTEGER); // [batch, 1]
  return ops.div(mask, counts);
}

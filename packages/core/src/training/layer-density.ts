import { clip, densityPenalty, div, ones, scale, sum, type Tensor } from "@deft-js/tensor";
import type { TappedActivation } from "../contracts/model.ts";

/** Whether padded positions count. */
export type Padding = "exclude" | "include";

/** Which tensor of a gated MLP counts: f(x·W₀), or f(x·W₀)⊙(x·W₁). */
export type Gated = "gate" | "product";

/** What counts of an activation: [batch, seq, dFf]. */
export function countedValue({ value, product }: TappedActivation, gated: Gated): Tensor {
  return gated === "product" ? (product ?? value) : value;
}

/** How densities are taken. */
export interface LayerDensityOptions {
  readonly epsilon: number;
  readonly padding: Padding;
  /** Whether decoder positions that the mask leaves out (label −100) count; as `padding` when left out. */
  readonly labels?: Padding | undefined;
  /** `gate` when left out. */
  readonly gated?: Gated | undefined;
}

/** The density of one layer. */
export interface LayerDensity {
  readonly activation: TappedActivation;
  /** p, [batch]. */
  readonly perExample: Tensor;
}

/**
 * The smooth density of each layer and example, p_b = mean over positions and neurons of a²/(a²+ε), with the gradient by the
 * activations. Without padding the mean goes over the positions whose mask is 1; an example without any has density 0.
 * @param activations values [batch, seq, dFf], masks [batch, seq]
 */
export function layerDensities(activations: readonly TappedActivation[], { epsilon, padding, labels = padding, gated = "gate" }: LayerDensityOptions): readonly LayerDensity[] {
  const shares = { encoder: new Map<Tensor, Tensor>(), decoder: new Map<Tensor, Tensor>() };
  return activations.map((activation) => {
    const { mask, stack } = activation;
    const value = countedValue(activation, gated);
    let share = shares[stack].get(mask);
    if (share === undefined) shares[stack].set(mask, (share = positionShares(mask, stack === "decoder" ? labels : padding)));
    return { activation, perExample: densityPenalty(value, { epsilon, weights: scale(share, 1 / (value.shape[2] ?? 1)) }) };
  });
}

/** The share of each position in its example's mean, [batch, seq]: 1/seq, or mask/Σmask. */
function positionShares(mask: Tensor, padding: Padding): Tensor {
  if (padding === "include") return scale(ones(mask.shape), 1 / (mask.shape[1] ?? 1));
  const counts = clip(sum(mask, { axes: [1], keepDims: true }), 1, Number.MAX_SAFE_INTEGER); // [batch, 1]
  return div(mask, counts);
}

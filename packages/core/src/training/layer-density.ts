import { densityPenalty, fill, positionWeights, type Tensor } from "@deft-js/tensor";
import type { TappedActivation } from "../contracts/model.ts";

/** The least ε of a²/(a²+ε) whose square is a normal float32 number: (a²+ε)² divides, and a may be 0. */
export const LEAST_EPSILON = 1e-18;

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
  /** Whether positions of a decoder that reads what it is taught count without a label (−100); as `padding` when left out. A causal model's have no other mask than that of padding. */
  readonly labels?: Padding | undefined;
  /** `gate` when left out. */
  readonly gated?: Gated | undefined;
  /** See `ops.densityPenalty`. */
  readonly late?: boolean | undefined;
}

/**
 * The smooth density of one layer after the other, p_b = mean over positions and neurons of a²/(a²+ε), with the gradient by the activations. Without padding the
 * mean goes over the positions whose mask is 1; an example without any has density 0.
 */
export class LayerDensities {
  readonly #options: LayerDensityOptions;
  /** The weights of the positions, [batch, seq], by stack, mask and width. */
  readonly #weights = new Map<string, Tensor>();

  constructor(options: LayerDensityOptions) {
    this.#options = options;
  }

  /**
   * @param activation value [batch, seq, dFf], mask [batch, seq]
   * @returns p, [batch]; and the tensors, p among them, that must live until the last layer has been taken
   */
  of(activation: TappedActivation): { readonly perExample: Tensor; readonly kept: readonly Tensor[] } {
    const value = countedValue(activation, this.#options.gated ?? "gate");
    const { weights, made } = this.#weightsFor(activation, value.shape[2] ?? 1);
    const perExample = densityPenalty(value, { epsilon: this.#options.epsilon, weights, late: this.#options.late === true });
    return { perExample, kept: made ? [perExample, weights] : [perExample] };
  }

  #weightsFor({ mask, stack, labelled }: TappedActivation, neurons: number): { weights: Tensor; made: boolean } {
    const key = `${stack} ${mask.id} ${neurons}`;
    const found = this.#weights.get(key);
    if (found !== undefined) return { weights: found, made: false };
    const { padding, labels = padding } = this.#options;
    const weights = weightsOf(mask, labelled === true ? labels : padding, neurons);
    this.#weights.set(key, weights);
    return { weights, made: true };
  }
}

/** The share of each position and neuron in its example's mean, [batch, seq]. */
function weightsOf(mask: Tensor, padding: Padding, neurons: number): Tensor {
  return padding === "include" ? fill(mask.shape, 1 / ((mask.shape[1] ?? 1) * neurons)) : positionWeights(mask, neurons);
}

import { activationLoss, DeftError, LayerDensities, ops, type ActivationObserver, type LossTerm, type Progress, type TappedActivation } from "@deft-js/core";
import { gatedDensitySchema, validated, type GatedDensityOptions, type GatedDensitySettings } from "./options.ts";
import { presencesOf, type Presence } from "./presence.ts";

/**
 * The density loss with each block weighted by its gate: mean over a stack's layers of π·(p + c), p the mean over the batch of the layer's smooth density
 * a²/(a²+ε), π the gate's presence (|θ|, σ(θ/T) or P(g ≠ 0)) and c the cost of a block; encoder and decoder are summed. An absent block costs none, and the
 * gradient reaches the gates. Blocks that are passed over are no layers here.
 * @throws DeftError `options.invalid`; on computing, `gated-density.gates` when a tapped activation has no gate
 */
export function gatedDensity(settings: GatedDensitySettings = {}): LossTerm {
  const options = validated("gated-density", gatedDensitySchema, settings);
  return activationLoss({ name: "gated-density", weightAt: () => options.weight, observer: (progress) => new GatedDensityObserver(options, progress) });
}

interface GatedLayer {
  readonly presences: readonly Presence[];
  /** p, [batch]. */
  readonly perExample: ops.Tensor;
}

class GatedDensityObserver implements ActivationObserver {
  readonly #blockCost: number;
  readonly #progress: Progress;
  readonly #densities: LayerDensities;
  readonly #layers: { readonly encoder: GatedLayer[]; readonly decoder: GatedLayer[] } = { encoder: [], decoder: [] };

  constructor({ epsilon, padding, blockCost }: GatedDensityOptions, progress: Progress) {
    this.#blockCost = blockCost;
    this.#progress = progress;
    this.#densities = new LayerDensities({ epsilon, padding });
  }

  observe(activation: TappedActivation): readonly ops.Tensor[] {
    const presences = presencesOf(activation.value);
    if (presences.length === 0) throw new DeftError("gated-density.gates", `gated-density: every tapped block must have a gate, got none around ${activation.path}. Attach \`gates\`, or use the loss \`density\`.`);
    const { perExample, kept } = this.#densities.of(activation);
    this.#layers[activation.stack].push({ presences, perExample });
    return kept;
  }

  loss(): readonly ops.Summand[] {
    const means = [this.#layers.encoder, this.#layers.decoder].flatMap((layers) => (layers.length === 0 ? [] : [this.#gatedMean(layers)]));
    if (means.length === 0) throw new DeftError("gated-density.gates", "gated-density: a forward pass must tap gated activations, got none. Attach `gates`.");
    return means.map((values) => ({ values, weight: 1 }));
  }

  /** mean over layers of π·(p + c), [1]. */
  #gatedMean(layers: readonly GatedLayer[]): ops.Tensor {
    const terms = layers.map(({ presences, perExample }) => {
      const density = ops.mean(perExample); // []
      const cost = this.#blockCost === 0 ? density : ops.add(density, ops.scalar(this.#blockCost));
      return presences.reduce((product, presence) => ops.mul(product, presence(this.#progress)), ops.reshape(cost, [1]));
    });
    return ops.scale(terms.reduce((a, b) => ops.add(a, b)), 1 / layers.length);
  }
}

import { DeftError, layerDensities, ops, type LayerDensity, type LossTerm, type Progress } from "@deft-js/core";
import { gatedDensitySchema, validated, type GatedDensitySettings } from "./options.ts";
import { presencesOf } from "./presence.ts";

/**
 * The density loss with each block weighted by its gate: mean over a stack's layers of π·(p + c), p the mean over the batch of the layer's smooth density
 * a²/(a²+ε), π the gate's presence (|θ|, σ(θ/T) or P(g ≠ 0)) and c the cost of a block; encoder and decoder are summed. An absent block costs none, and the
 * gradient reaches the gates. Blocks that are passed over are no layers here.
 * @throws DeftError `options.invalid`; on computing, `gated-density.gates` when a tapped activation has no gate
 */
export function gatedDensity(settings: GatedDensitySettings = {}): LossTerm {
  const { weight, epsilon, padding, blockCost } = validated("gated-density", gatedDensitySchema, settings);
  return {
    name: "gated-density",
    taps: { activations: true },
    weightAt: () => weight,
    compute({ activations }, _batch, progress) {
      if (activations.length === 0) throw new DeftError("gated-density.gates", "gated-density: a forward pass must tap gated activations, got none. Attach `gates`.");
      const densities = layerDensities(activations, { epsilon, padding });
      const means = (["encoder", "decoder"] as const).flatMap((stack) => {
        const layers = densities.filter(({ activation }) => activation.stack === stack);
        return layers.length === 0 ? [] : [gatedMean(layers, { blockCost, progress })];
      });
      return ops.reshape(means.reduce((a, b) => ops.add(a, b)), []);
    },
  };
}

/** mean over layers of π·(p + c), [1]. */
function gatedMean(layers: readonly LayerDensity[], { blockCost, progress }: { blockCost: number; progress: Progress }): ops.Tensor {
  const terms = layers.map(({ activation: { path, value }, perExample }) => {
    const presences = presencesOf(value);
    if (presences.length === 0) throw new DeftError("gated-density.gates", `gated-density: every tapped block must have a gate, got none around ${path}. Attach \`gates\`, or use the loss \`density\`.`);
    const density = ops.mean(perExample); // []
    const cost = blockCost === 0 ? density : ops.add(density, ops.scalar(blockCost));
    return presences.reduce((product, presence) => ops.mul(product, presence(progress)), ops.reshape(cost, [1]));
  });
  return ops.scale(terms.reduce((a, b) => ops.add(a, b)), 1 / layers.length);
}

import { DeftError, layerDensities, ops, type ForwardResult, type LayerDensity, type LossTerm, type Progress, type TappedActivation } from "@deft-js/core";
import { densityLossOptions, type DensityLossOptions, type DensityLossSettings } from "./options.ts";
import { valueAt } from "./schedule.ts";

/**
 * The density loss (Runwal et al., 2025, arXiv:2402.01911): for each layer and example the mean over positions and neurons of
 * a²/(a²+ε), its mean over layers and batch; encoder and decoder means are summed, each with its factor. `padding: "include"`
 * is what the paper's code computes; by default padded positions do not count.
 * @throws DeftError `options.invalid`; on computing, `density.layers` when no activation is chosen
 */
export function densityLoss(settings: DensityLossSettings = {}): LossTerm {
  const options = densityLossOptions(settings);
  return {
    name: "density",
    taps: { activations: true },
    weightAt: (progress) => valueAt(options.weight, progress),
    compute: (forward, _batch, progress) => compute(forward, progress, options),
  };
}

function compute(forward: ForwardResult, progress: Progress, options: DensityLossOptions): ops.Tensor {
  const chosen = forward.activations.filter((activation) => isChosen(activation, options.layers));
  if (chosen.length === 0) {
    const known = forward.activations.map(({ path }) => path).join(", ");
    throw new DeftError("density.layers", `density: layers must choose a tapped activation, got ${JSON.stringify(options.layers ?? "all")}. Known: ${known || "none"}.`);
  }
  const densities = layerDensities(chosen, { epsilon: valueAt(options.epsilon, progress), padding: options.padding, labels: options.labels, gated: options.gated });
  const encoder = stackMean(densities, "encoder", options.encoderWeight);
  const decoder = stackMean(densities, "decoder", options.decoderWeight);
  if (encoder === undefined || decoder === undefined) return (encoder ?? decoder) as ops.Tensor;
  return ops.add(encoder, decoder);
}

/** factor · mean over the stack's layers and the batch, []; undefined for a stack without layers. */
function stackMean(densities: readonly LayerDensity[], stack: "encoder" | "decoder", factor: number): ops.Tensor | undefined {
  const means = densities.filter(({ activation }) => activation.stack === stack).map(({ perExample }) => ops.mean(perExample));
  return means.length === 0 ? undefined : ops.scale(means.reduce((a, b) => ops.add(a, b)), factor / means.length);
}

function isChosen({ path, layer }: TappedActivation, layers: DensityLossOptions["layers"]): boolean {
  if (layers === undefined) return true;
  return typeof layers === "string" ? new RegExp(layers).test(path) : layers.includes(layer);
}

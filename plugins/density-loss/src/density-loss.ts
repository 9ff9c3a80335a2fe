import { activationLoss, DeftError, LayerDensities, type ops, type ActivationObserver, type LossTerm, type Progress, type TappedActivation } from "@deft-js/core";
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
  return activationLoss({
    name: "density",
    weightAt: (progress) => valueAt(options.weight, progress),
    observer: (progress, late) => new DensityObserver(options, { progress, late }),
  });
}

class DensityObserver implements ActivationObserver {
  readonly #options: DensityLossOptions;
  readonly #densities: LayerDensities;
  readonly #known: { readonly path: string; readonly layer: number }[] = [];
  readonly #chosen: { readonly encoder: ops.Tensor[]; readonly decoder: ops.Tensor[] } = { encoder: [], decoder: [] };

  constructor(options: DensityLossOptions, { progress, late }: { readonly progress: Progress; readonly late: boolean }) {
    const { epsilon, padding, labels, gated } = options;
    this.#options = options;
    this.#densities = new LayerDensities({ epsilon: valueAt(epsilon, progress), padding, labels, gated, late });
  }

  observe(activation: TappedActivation): readonly ops.Tensor[] {
    this.#known.push({ path: activation.path, layer: activation.layer });
    if (!isChosen(activation, this.#options.layers)) return [];
    const { perExample, kept } = this.#densities.of(activation);
    this.#chosen[activation.stack].push(perExample);
    return kept;
  }

  loss(): readonly ops.Summand[] {
    const { layers, encoderWeight, decoderWeight } = this.#options;
    const { encoder, decoder } = this.#chosen;
    const unknown = Array.isArray(layers) ? layers.filter((number) => this.#known.every(({ layer }) => layer !== number)) : [];
    if (encoder.length + decoder.length === 0 || unknown.length > 0)
      throw new DeftError("density.layers", `density: layers must choose tapped activations, got ${JSON.stringify(unknown.length > 0 ? unknown : (layers ?? "all"))}. Known: ${this.#known.map(({ path }) => path).join(", ") || "none"}.`);
    return [...stackMean(encoder, encoderWeight), ...stackMean(decoder, decoderWeight)];
  }
}

/** factor · mean over the stack's layers and the batch. */
function stackMean(densities: readonly ops.Tensor[], factor: number): readonly ops.Summand[] {
  const count = densities.reduce((sum, { size }) => sum + size, 0);
  return densities.map((values) => ({ values, weight: factor / count }));
}

function isChosen({ path, layer }: TappedActivation, layers: DensityLossOptions["layers"]): boolean {
  if (layers === undefined) return true;
  return typeof layers === "string" ? new RegExp(layers).test(path) : layers.includes(layer);
}

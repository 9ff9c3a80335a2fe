import { z } from "zod";
import { DeftError, mlpBlocks, type ForwardResult, type Gated, type Meter, type Model, type TappedActivation } from "@deft-js/core";
import { densityCounts, type DensityCounts } from "./density-counts.ts";

/** The schema of the density meter's options. */
export const densityMeterSchema = z.strictObject({
  thresholds: z.array(z.number().positive()).default([0.01]).describe("τ of the shares |a| > τ beside the exact one"),
  gated: z.enum(["gate", "product"]).default("gate").describe("of a gated MLP: the gate's activation, or its product with the other branch"),
});

/** The density meter's options as a caller gives them. */
export type DensityMeterSettings = z.input<typeof densityMeterSchema>;

/** Shares of neurons, as fractions; real positions alone, and with padded ones. */
export interface DensityShares {
  /** Not exactly 0. */
  readonly exact: number;
  readonly exactIncludingPadding: number;
  /** |a| > τ. */
  readonly thresholded: readonly { readonly threshold: number; readonly share: number; readonly shareIncludingPadding: number }[];
}

/** The shares of one layer: means over the examples. */
export interface LayerDensityReport extends DensityShares {
  readonly stack: "encoder" | "decoder";
  readonly layer: number;
  readonly path: string;
}

/** What was measured, as plain data. */
export interface DensityReport extends Readonly<Record<string, unknown>> {
  readonly examples: number;
  readonly layers: readonly LayerDensityReport[];
  /** Means over a stack's layers; null for a stack without any. */
  readonly encoder: DensityShares | null;
  readonly decoder: DensityShares | null;
  /** Positions that went through the first layer of each stack, and how many of them were padding. */
  readonly padding: { readonly positions: number; readonly padded: number };
}

interface LayerSums {
  readonly activation: Pick<TappedActivation, "stack" | "layer" | "path">;
  /** By threshold, τ = 0 first: sums over examples of their shares. */
  readonly real: Float64Array;
  readonly all: Float64Array;
  examples: number;
  /** Examples that have a real position. */
  realExamples: number;
  positions: number;
  padded: number;
}

/** Measures, over forward passes, which share of the MLPs' neurons is active: see `densityMeter`. */
export class DensityMeter implements Meter {
  readonly id = "density";
  readonly taps = { activations: true } as const;
  readonly #thresholds: readonly number[];
  readonly #gated: Gated;
  readonly #layers = new Map<string, LayerSums>();
  #examples = 0;
  /** An evaluation runs: it asks for the activations, so that a pass without any has no MLP that runs. */
  #inEvaluation = false;

  constructor({ thresholds, gated }: z.output<typeof densityMeterSchema>) {
    this.#thresholds = thresholds;
    this.#gated = gated;
  }

  /** Lays down the model's layers, so that one whose block is skipped counts: nothing in it is active. */
  begin(model: Pick<Model, "sites">): () => void {
    this.#inEvaluation = true;
    for (const { activation: { path }, stack, layer } of mlpBlocks(model)) this.#sums({ path, stack, layer });
    return () => {
      this.#inEvaluation = false;
    };
  }

  /** Throws `density.taps` when the forward pass carries no activations, except in an evaluation of a model all of whose MLPs are skipped. */
  add(forward: ForwardResult): void {
    if (forward.activations.length === 0 && !this.#inEvaluation) throw new DeftError("density.taps", "density meter: the forward pass must carry activations, got none. Ask for them with `taps: { activations: true }`.");
    this.#examples += (forward.activations[0]?.value ?? forward.logits).shape[0] ?? 0;
    for (const activation of forward.activations) accumulate(this.#sums(activation), densityCounts(activation, { thresholds: [0, ...this.#thresholds], gated: this.#gated }));
  }

  report(): DensityReport {
    const sums = [...this.#layers.values()];
    const layers = sums.map((layer) => ({ ...layer.activation, ...this.#shares(layer) }));
    const firsts = (["encoder", "decoder"] as const).flatMap((stack) => sums.find(({ activation, examples }) => activation.stack === stack && examples > 0) ?? []);
    return {
      examples: this.#examples,
      layers,
      encoder: meanOf(layers.filter(({ stack }) => stack === "encoder")),
      decoder: meanOf(layers.filter(({ stack }) => stack === "decoder")),
      padding: { positions: total(firsts.map(({ positions }) => positions)), padded: total(firsts.map(({ padded }) => padded)) },
    };
  }

  reset(): void {
    this.#layers.clear();
    this.#examples = 0;
  }

  #sums({ path, stack, layer }: Pick<TappedActivation, "path" | "stack" | "layer">): LayerSums {
    let sums = this.#layers.get(path);
    const width = this.#thresholds.length + 1;
    if (sums === undefined) this.#layers.set(path, (sums = { activation: { stack, layer, path }, real: new Float64Array(width), all: new Float64Array(width), examples: 0, realExamples: 0, positions: 0, padded: 0 }));
    return sums;
  }

  #shares({ real, all, examples, realExamples }: LayerSums): DensityShares {
    const share = (i: number): number => (real[i] as number) / Math.max(1, realExamples);
    const shareIncludingPadding = (i: number): number => (all[i] as number) / Math.max(1, examples);
    return {
      exact: share(0),
      exactIncludingPadding: shareIncludingPadding(0),
      thresholded: this.#thresholds.map((threshold, i) => ({ threshold, share: share(i + 1), shareIncludingPadding: shareIncludingPadding(i + 1) })),
    };
  }
}

/**
 * A meter of activation density: for each layer and example the share of neurons that are not exactly 0 and the shares
 * |a| > τ, over real positions and over all of them; means over examples, then layers. With padding included, `exact` is the
 * density that the paper reports (arXiv:2402.01911, section 4). Throws `options.invalid`.
 */
export function densityMeter(settings: DensityMeterSettings = {}): DensityMeter {
  const result = densityMeterSchema.safeParse(settings);
  if (!result.success) throw new DeftError("options.invalid", `density meter: thresholds must be positive numbers and gated gate or product, got ${JSON.stringify(settings)}. Correct them.`);
  return new DensityMeter(result.data);
}

function accumulate(sums: LayerSums, { positions, seq, neurons, counts }: DensityCounts): void {
  for (const [b, real] of positions.entries()) {
    sums.examples++;
    sums.positions += seq;
    sums.padded += seq - real;
    if (real > 0) sums.realExamples++;
    for (const [i, count] of counts.entries()) {
      if (real > 0) sums.real[i] = (sums.real[i] as number) + (count.real[b] as number) / (real * neurons);
      sums.all[i] = (sums.all[i] as number) + (count.all[b] as number) / (seq * neurons);
    }
  }
}

function meanOf(layers: readonly DensityShares[]): DensityShares | null {
  const [first] = layers;
  if (first === undefined) return null;
  const mean = (pick: (shares: DensityShares) => number): number => total(layers.map(pick)) / layers.length;
  return {
    exact: mean((s) => s.exact),
    exactIncludingPadding: mean((s) => s.exactIncludingPadding),
    thresholded: first.thresholded.map(({ threshold }, i) => ({
      threshold,
      share: mean((s) => s.thresholded[i]?.share ?? NaN),
      shareIncludingPadding: mean((s) => s.thresholded[i]?.shareIncludingPadding ?? NaN),
    })),
  };
}

function total(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

import { ops, type ForwardResult } from "@deft-js/core";
import { toyBatch, toyModel } from "@deft-js/testkit";
import { describe, expect, it } from "vitest";
import { densityMeter, type DensityReport } from "../src/index.ts";
import { forwardOf, type Layer } from "./forward.ts";

const A: Layer = { shape: [2, 2, 2], values: [0, 1, -0.005, 3, -0, 0.02, 3, 3], mask: [1, 1, 1, 0], layer: 0 };
const B: Layer = { shape: [2, 2, 1], values: [0, 0, 1, 1], mask: [1, 1, 1, 0], layer: 1 };
const DECODER: Layer = { shape: [2, 1, 2], values: [0, 1, 1, 1], stack: "decoder", layer: 0 };

function measured(passes: readonly (readonly Layer[])[], settings = {}): DensityReport {
  const meter = densityMeter(settings);
  for (const layers of passes) ops.scope(() => meter.add(forwardOf(layers)));
  return meter.report();
}

describe("density meter, reckoned by hand", () => {
  it("means over examples, then layers, with and without padding, exact and above τ", () => {
    const report = measured([[A, B, DECODER]]);
    expect(report.examples).toBe(2);
    // A: examples 3/4 and 1/2; with padding 3/4 and 3/4; above 0.01: 2/4 and 1/2; with padding 2/4 and 3/4
    expect(report.layers[0]).toEqual({
      stack: "encoder", layer: 0, path: "encoder.layer.0.act", exact: 0.625, exactIncludingPadding: 0.75,
      thresholded: [{ threshold: 0.01, share: 0.5, shareIncludingPadding: 0.625 }],
    });
    // B: 0 and 1; the decoder: 1/2 and 1
    expect(report.encoder).toEqual({ exact: (0.625 + 0.5) / 2, exactIncludingPadding: (0.75 + 0.5) / 2, thresholded: [{ threshold: 0.01, share: 0.5, shareIncludingPadding: (0.625 + 0.5) / 2 }] });
    expect(report.decoder?.exact).toBe(0.75);
    expect(report.padding).toEqual({ positions: 6, padded: 1 });
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });

  it("weighs examples, not batches or positions", () => {
    const one: Layer = { shape: [1, 1, 1], values: [1] };
    const three: Layer = { shape: [3, 2, 1], values: [0, 0, 0, 0, 1, 0] };
    expect(measured([[one], [three]]).encoder?.exact).toBeCloseTo((1 + 0 + 0 + 0.5) / 4, 12);
  });

  it("passes over examples that are padding alone, except where padding counts", () => {
    const report = measured([[{ shape: [2, 1, 1], values: [1, 0], mask: [1, 0] }]]);
    expect(report.encoder).toMatchObject({ exact: 1, exactIncludingPadding: 0.5 });
  });

  it("counts a gated MLP's gate, or the product", () => {
    const gated: Layer = { shape: [1, 1, 2], values: [1, 2], product: [0, 3] };
    expect(measured([[gated]]).encoder?.exact).toBe(1);
    expect(measured([[gated]], { gated: "product" }).encoder?.exact).toBe(0.5);
  });

  it("takes several thresholds, forgets on reset and says nothing before the first batch", () => {
    const meter = densityMeter({ thresholds: [0.5, 2] });
    expect(meter.report()).toEqual({ examples: 0, layers: [], encoder: null, decoder: null, padding: { positions: 0, padded: 0 } });
    ops.scope(() => meter.add(forwardOf([A])));
    expect(meter.report().layers[0]?.thresholded.map(({ shareIncludingPadding }) => shareIncludingPadding)).toEqual([0.5, 0.375]);
    meter.reset();
    expect(meter.report().examples).toBe(0);
  });

  it("counts a layer whose block is skipped as one in which nothing is active, in an evaluation", async () => {
    const model = await toyModel();
    const meter = densityMeter();
    const measure = (): DensityReport => {
      meter.reset();
      const end = meter.begin(model);
      ops.scope(() => meter.add(model.forward(toyBatch(), meter.taps)));
      end();
      return meter.report();
    };
    const before = measure();
    const [first, ...others] = model.sites("mlp");
    first!.wrap((x) => ops.scale(x, 0));
    const { layers, encoder, examples } = measure();
    expect(layers.map(({ exact }) => exact)).toEqual([0, ...before.layers.slice(1).map(() => expect.any(Number) as number)]);
    expect(encoder!.exact).toBeCloseTo(layers.reduce((sum, { exact }) => sum + exact, 0) / layers.length, 6);
    for (const site of others) site.wrap((x) => ops.scale(x, 0));
    expect(measure()).toMatchObject({ examples, encoder: { exact: 0 }, padding: { positions: 0, padded: 0 } });
    expect(examples).toBe(before.examples);
    expect(() => meter.add({ activations: [] } as unknown as ForwardResult)).toThrow(expect.objectContaining({ code: "density.taps" }));
  });

  it("leaves no tensor behind and refuses a pass without activations or a threshold of 0", () => {
    const { tensors } = ops.memory();
    measured([[A, B]]);
    expect(ops.memory().tensors).toBe(tensors);
    expect(() => densityMeter().add({ activations: [] } as unknown as ForwardResult)).toThrow(expect.objectContaining({ code: "density.taps" }));
    expect(() => densityMeter({ thresholds: [0] })).toThrow(expect.objectContaining({ code: "options.invalid" }));
  });
});

import { Kernel, LOSS_TERM, METER, ops, type Batch, type ForwardResult } from "@deft-js/core";
import { gradientCheck, lossTermChecks } from "@deft-js/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { densityLoss, densityPlugin, type DensityLossSettings } from "../src/index.ts";
import { forwardOf, type Layer } from "./forward.ts";

const batch = {} as Batch;
const at = (step: number, totalSteps = 11) => ({ step, totalSteps, epoch: 0 });
const lossOf = (layers: readonly Layer[], settings: DensityLossSettings, step = 0): number =>
  ops.scope(() => ops.read(densityLoss(settings).compute(forwardOf(layers), batch, at(step)))[0]!);

/** With ε = 1: p(0) = 0, p(±1) = 1/2, p(2) = 4/5, p(3) = 9/10. */
const ONE: Layer = { shape: [2, 2, 2], values: [0, 1, 2, 3, -1, 0, 3, 3], mask: [1, 1, 1, 0], layer: 0 };
const TWO: Layer = { shape: [2, 2, 1], values: [1, 1, 0, 1], mask: [1, 1, 1, 0], layer: 1 };
const DECODER: Layer = { shape: [2, 1, 1], values: [2, 0], stack: "decoder", layer: 0 };

describe("density loss, reckoned by hand", () => {
  it("counts padding when told to: mean over positions and neurons, layers and batch", () => {
    // layer 0: (0 + .5 + .8 + .9)/4 = .55 and (.5 + 0 + .9 + .9)/4 = .575; layer 1: .5 and .25
    expect(lossOf([ONE, TWO], { epsilon: 1, padding: "include" })).toBeCloseTo((0.55 + 0.575 + 0.5 + 0.25) / 4, 6);
  });

  it("leaves padding out by default, each example over its own positions", () => {
    // the second example: (.5 + 0)/2 = .25 in layer 0 and 0 in layer 1
    expect(lossOf([ONE, TWO], { epsilon: 1 })).toBeCloseTo((0.55 + 0.25 + 0.5 + 0) / 4, 6);
  });

  it("sums encoder and decoder means with their factors", () => {
    const encoder = (0.55 + 0.25 + 0.5 + 0) / 4;
    expect(lossOf([ONE, TWO, DECODER], { epsilon: 1 })).toBeCloseTo(encoder + 0.4, 6);
    expect(lossOf([ONE, TWO, DECODER], { epsilon: 1, encoderWeight: 2, decoderWeight: 0.5 })).toBeCloseTo(2 * encoder + 0.2, 6);
    expect(lossOf([DECODER], { epsilon: 1 })).toBeCloseTo(0.4, 6);
  });

  it("counts decoder positions without a label apart from padding", () => {
    const decoder: Layer = { shape: [1, 2, 1], values: [2, 0], mask: [1, 0], stack: "decoder", labelled: true }; // .8 and 0
    expect(lossOf([decoder], { epsilon: 1 })).toBeCloseTo(0.8, 6);
    expect(lossOf([decoder], { epsilon: 1, labels: "include" })).toBeCloseTo(0.4, 6);
    expect(lossOf([decoder], { epsilon: 1, padding: "include" })).toBeCloseTo(0.4, 6);
    expect(lossOf([decoder], { epsilon: 1, padding: "include", labels: "exclude" })).toBeCloseTo(0.8, 6);
    const encoder = (0.55 + 0.25 + 0.5 + 0) / 4;
    expect(lossOf([ONE, TWO, decoder], { epsilon: 1, labels: "include" })).toBeCloseTo(encoder + 0.4, 6);
    const causal: Layer = { ...decoder, labelled: false }; // the mask is of padding
    expect(lossOf([causal], { epsilon: 1, labels: "include" })).toBeCloseTo(0.8, 6);
    expect(lossOf([causal], { epsilon: 1, padding: "include", labels: "exclude" })).toBeCloseTo(0.4, 6);
  });

  it("takes a gated MLP's gate, or the product that the down-projection reads", () => {
    const gated: Layer = { shape: [1, 1, 2], values: [1, 2], product: [0, 3] };
    expect(lossOf([gated], { epsilon: 1 })).toBeCloseTo((0.5 + 0.8) / 2, 6);
    expect(lossOf([gated], { epsilon: 1, gated: "product" })).toBeCloseTo((0 + 0.9) / 2, 6);
    expect(lossOf([ONE], { epsilon: 1, gated: "product" })).toBe(lossOf([ONE], { epsilon: 1 }));
  });

  it("gives 0 for an example that is padding alone", () => expect(lossOf([{ shape: [1, 2, 1], values: [1, 1], mask: [0, 0] }], { epsilon: 1 })).toBe(0));

  it("chooses layers by number or path", () => {
    expect(lossOf([ONE, TWO], { epsilon: 1, layers: [1] })).toBeCloseTo(0.25, 6);
    expect(lossOf([ONE, TWO, DECODER], { epsilon: 1, layers: /^decoder/ })).toBeCloseTo(0.4, 6);
    expect(() => lossOf([ONE, TWO], { layers: [0, 7] })).toThrow(expect.objectContaining({ code: "density.layers", message: expect.stringContaining("got [7].") as string }));
    expect(() => lossOf([ONE, TWO], { layers: [7] })).toThrow(expect.objectContaining({ code: "density.layers", message: expect.stringContaining("Known: encoder.layer.0.act, encoder.layer.1.act.") as string }));
  });

  it("anneals ε and its weight over the run", () => {
    const epsilon = { kind: "geometric", from: 1e-2, to: 1e-6 } as const;
    const value = (step: number, eps: number): void => expect(lossOf([{ shape: [1, 1, 1], values: [0.01] }], { epsilon }, step)).toBeCloseTo(1e-4 / (1e-4 + eps), 5);
    value(0, 1e-2);
    value(5, 1e-4);
    value(10, 1e-6);
    const weights = (weight: NonNullable<DensityLossSettings["weight"]>): number[] => [0, 5, 10].map((step) => densityLoss({ weight }).weightAt(at(step)));
    expect(weights(0.5)).toEqual([0.5, 0.5, 0.5]);
    expect(weights({ kind: "constant", value: 2 })).toEqual([2, 2, 2]);
    expect(weights({ kind: "linear", from: 0, to: 3, end: 0.5 })).toEqual([0, 3, 3]);
    expect(weights({ kind: "cosine", from: 1, to: 0 }).map((w) => Math.round(w * 1e9) / 1e9)).toEqual([1, 0.5, 0]);
    expect(weights({ kind: "linear", from: 1, to: 2, start: 0.5 })).toEqual([1, 1, 2]);
    expect(densityLoss({ weight: { kind: "linear", from: 1, to: 2 } }).weightAt(at(0, 1))).toBe(1);
  });

  it("refuses options outside its schema", () => {
    const refused = [{ weight: -1 }, { epsilon: 0 }, { epsilon: 1e-19 }, { epsilon: { kind: "geometric", from: 0, to: 1 } }, { weight: { kind: "linear", from: 0, to: 1, start: 1, end: 0.5 } }, { padding: "maybe" }, { labels: "some" }, { gated: "both" }, { layers: [] }, { layers: "(" }, { weights: 1 }, { weight: { kind: "step", from: 0, to: 1 } }];
    for (const settings of refused) expect(() => densityLoss(settings as never), JSON.stringify(settings)).toThrow(expect.objectContaining({ code: "options.invalid" }));
  });

  it("stays within its bounds and its padding rule for any activations", () => {
    const values = fc.array(fc.double({ min: -1e3, max: 1e3, noNaN: true }), { minLength: 12, maxLength: 12 });
    fc.assert(fc.property(values, fc.array(fc.constantFrom(0, 1), { minLength: 4, maxLength: 4 }), (a, mask) => {
      const layer: Layer = { shape: [2, 2, 3], values: a, mask };
      const [excluded, included] = [lossOf([layer], {}), lossOf([layer], { padding: "include" })];
      for (const value of [excluded, included]) expect(value >= 0 && value <= 1 + 1e-6).toBe(true);
      const blanked: Layer = { ...layer, values: a.map((x, i) => (mask[Math.floor(i / 3)] === 1 ? x : 77)) };
      expect(lossOf([blanked], {})).toBe(excluded);
    }));
  });
});

describe("conformance", () => {
  const variable = ops.Variable.from("a", new ops.Rng(2).normals(24, 1e-3), [2, 3, 4]);
  const forward = (): ForwardResult => {
    const mask = ops.tensor([1, 1, 0, 1, 1, 1], [2, 3]);
    return { logits: ops.scalar(0), activations: [{ path: "a", stack: "encoder", layer: 0, value: ops.scale(variable.value, 1), mask }], hiddenStates: [] };
  };
  for (const padding of ["exclude", "include"] as const) {
    const checks = lossTermChecks({ term: () => densityLoss({ epsilon: 1e-3, padding }), weightless: () => densityLoss({ weight: 0 }), variables: [variable], forward, batch, step: 1e-3, tolerance: 1e-2 });
    for (const { name, run } of checks) it(`${name}, padding ${padding}`, run);
  }

  it("has the gradient of its central differences at ε = 1e-7, with a step well below √ε", () =>
    void gradientCheck({ name: "density", f: () => densityLoss({ epsilon: 1e-7 }).compute(forward(), batch, at(0)), variables: [variable], step: 2e-5, tolerance: 1e-2 }));

  it("is made by the kernel from a recipe's options, with its meter", () => {
    const kernel = new Kernel().use(densityPlugin);
    expect(kernel.create(LOSS_TERM, "density", { weight: 2, layers: "encoder" }).weightAt(at(0))).toBe(2);
    expect(kernel.create(METER, "density", {}).id).toBe("density");
  });
});

import { join } from "node:path";
import { LayerDensities, ops, type Batch, type NamedArray } from "@deft-js/core";
import { demandClose, readFixtureJson, readFixtureTensors, tapeGradients } from "@deft-js/testkit";
import { describe, expect, it } from "vitest";
import { densityLoss, densityMeter } from "../src/index.ts";
import { forwardOf, type Layer } from "./forward.ts";

const FIXTURES = join(import.meta.dirname, "fixtures");

describe("a²/(a²+ε) and its gradient against PyTorch", () => {
  const tensors = readFixtureTensors(join(FIXTURES, "numerics-density.safetensors"));
  const x = tensors.get("density.x")!.values;
  const variable = ops.Variable.from("x", x, [x.length, 1, 1]);
  const values = (epsilon: number): ops.Tensor => {
    const mask = ops.ones([x.length, 1]);
    return new LayerDensities({ epsilon, padding: "include" }).of({ path: "x", stack: "encoder", layer: 0, value: ops.scale(variable.value, 1), mask }).perExample;
  };

  it.each(["1e-07", "1e-05", "0.001", "0.1", "1", "20"])("ε = %s", (label) => {
    const epsilon = Number(label);
    const name = `density.eps${label}`;
    demandClose({ name, actual: ops.scope(() => ops.read(values(epsilon))), expected: tensors.get(`${name}.value`)!.values, tolerance: 1e-6, relativeTo: "entry" });
    const gradient = tapeGradients(() => ops.sum(values(epsilon)), [variable]).get("x")!;
    const exact = Float64Array.from(x, (a) => (2 * a * epsilon) / (a * a + epsilon) ** 2);
    demandClose({ name: `${name}, gradient in closed form`, actual: gradient, expected: exact, tolerance: 1e-6, relativeTo: "entry" });
    // PyTorch subtracts 2a·a²/(a²+ε)² from 2a/(a²+ε): its own rounding is a few units in the last place of those
    const cancelling = Float64Array.from(x, (a) => (a === 0 ? 1 : (2 * Math.abs(a)) / (a * a + epsilon)));
    const scaled = (g: Float32Array): Float64Array => Float64Array.from(g, (value, i) => value / cancelling[i]!);
    demandClose({ name: `${name}, gradient`, actual: scaled(gradient), expected: scaled(tensors.get(`${name}.grad`)!.values), tolerance: 0, relativeTo: "entry", absolute: 4 * 2 ** -24 });
  });
});

/** The column of a layer in a [batch, layers] matrix. */
function columnOf({ values, shape: [, layers = 1] }: NamedArray, layer: number): number[] {
  return [...values].filter((_, i) => i % layers === layer);
}

describe.each(["bert-lora-at", "t5-pfeiffer-at"])("the reference's density on the activations of %s", (golden) => {
  const tensors = readFixtureTensors(join(FIXTURES, `${golden}.safetensors`));
  const { density_loss, eval_density_mean } = readFixtureJson(join(FIXTURES, `${golden}.json`)) as { density_loss: Record<string, { sum: number }>; eval_density_mean: { enc: number; dec?: number } };
  const layers = [...tensors].flatMap(([name, { shape, values }]): Layer[] => {
    const [, stack, layer] = /^mlp_act\.(enc|dec)\.(\d+)$/.exec(name) ?? [];
    return stack === undefined ? [] : [{ values, shape: shape as unknown as Layer["shape"], stack: stack === "enc" ? "encoder" : "decoder", layer: Number(layer) }];
  });

  it.each([["1e-07", 1e-7], ["0.001", 1e-3]] as const)("loss at ε = %s", (label, epsilon) => {
    const loss = ops.scope(() => ops.read(densityLoss({ epsilon, padding: "include" }).compute(forwardOf(layers), {} as Batch, { step: 0, totalSteps: 1, epoch: 0 })));
    demandClose({ name: "loss", actual: loss, expected: [density_loss[label]!.sum], tolerance: 2e-6, relativeTo: "entry" });
  });

  it.each(["1e-07", "0.001"])("every layer and example at ε = %s", (label) => {
    ops.scope(() => {
      const densities = new LayerDensities({ epsilon: Number(label), padding: "include" });
      for (const activation of forwardOf(layers).activations) {
        const { perExample } = densities.of(activation);
        const expected = tensors.get(`density_l0.eps${label}.${activation.stack.slice(0, 3)}`)!;
        const column = columnOf(expected, activation.layer);
        demandClose({ name: activation.path, actual: ops.read(perExample), expected: column, tolerance: 1e-5, relativeTo: "entry", absolute: 1e-6 });
      }
    });
  });

  it("non-zeros of every layer", () => {
    const meter = densityMeter();
    ops.scope(() => meter.add(forwardOf(layers)));
    const report = meter.report();
    for (const { stack, layer, exactIncludingPadding } of report.layers) {
      const column = columnOf(tensors.get(`density_count_nonzero.${stack.slice(0, 3)}`)!, layer);
      expect(exactIncludingPadding).toBeCloseTo(column.reduce((a, b) => a + b) / column.length, 6);
    }
    expect(report.encoder?.exactIncludingPadding).toBeCloseTo(eval_density_mean.enc, 6);
    if (eval_density_mean.dec === undefined) expect(report.decoder).toBeNull();
    else expect(report.decoder?.exactIncludingPadding).toBeCloseTo(eval_density_mean.dec, 6);
  });
});

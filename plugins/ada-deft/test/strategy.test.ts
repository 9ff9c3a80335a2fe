import { evaluationContext, ops, trainingContext, type ForwardContext } from "@deft-js/core";
import { gradientCheck } from "@deft-js/testkit";
import { describe, expect, it } from "vitest";
import { gates, gateStrategy, type GatesOptions, type GatesSettings } from "../src/index.ts";

const strategy = (settings: GatesSettings) => gateStrategy(gates(settings).options as GatesOptions);
const number = (f: () => ops.Tensor): number => ops.scope(() => ops.read(f())[0]!);
const theta = (value: number): ops.Tensor => ops.tensor([value], [1]);
const at = (step: number, totalSteps = 11) => ({ step, totalSteps, epoch: 0 });
const seeded = (seed: number): ForwardContext => ({ training: true, nextSeed: () => seed });

describe("gates, reckoned by hand", () => {
  it("scalar: g = θ, presence |θ|", () => {
    const made = strategy({ strategy: "scalar" });
    expect([made.start, made.value(-0.5), number(() => made.gate(theta(-0.5), evaluationContext)), number(() => made.presence(theta(-0.5), undefined))]).toEqual([1, -0.5, -0.5, 0.5]);
  });

  it("sigmoid: σ(θ/T), T from 1 to 0.01 by equal factors", () => {
    const made = strategy({ strategy: "sigmoid", start: 0.75, temperature: { from: 1, to: 0.01 } });
    expect(made.start).toBeCloseTo(Math.log(3), 12);
    const during = (step: number): number => number(() => made.gate(theta(Math.log(3) / 10), { ...evaluationContext, progress: at(step) }));
    expect(during(5)).toBeCloseTo(0.75, 6); // T = 0.1
    expect(during(0)).toBeCloseTo(3 ** 0.1 / (1 + 3 ** 0.1), 6);
    expect(number(() => made.presence(theta(Math.log(3) / 100), at(10)))).toBeCloseTo(0.75, 6);
    expect(number(() => made.gate(theta(Math.log(3) / 100), evaluationContext))).toBeCloseTo(0.75, 6); // evaluation: the last T
    expect(made.value(Math.log(3) / 100)).toBeCloseTo(0.75, 12);
  });

  it("hard-concrete in evaluation: σ(θ)·1.2 − 0.1, clipped", () => {
    const made = strategy({ strategy: "hard-concrete" });
    for (const [p, g] of [[0.5, 0.5], [0.25, 0.2], [1 / 12, 0], [0.01, 0], [0.95, 1]] as const) {
      expect(made.value(Math.log(p / (1 - p))), String(p)).toBeCloseTo(g, 10);
      expect(number(() => made.gate(theta(Math.log(p / (1 - p))), evaluationContext)), String(p)).toBeCloseTo(g, 6);
    }
    // P(g ≠ 0) at log α = 0: σ(⅔·log 11) = 11^⅔/(1 + 11^⅔)
    expect(number(() => made.presence(theta(0), undefined))).toBeCloseTo(11 ** (2 / 3) / (1 + 11 ** (2 / 3)), 6);
  });

  it("hard-concrete in training: the concrete variable of the context's seed, as often 0 as presence says", () => {
    const made = strategy({ strategy: "hard-concrete" });
    const u = new ops.Rng(7).uniform() + 2 ** -25;
    const s = 1 / (1 + Math.exp(-(Math.log(u / (1 - u)) - 0.4) / (2 / 3)));
    expect(number(() => made.gate(theta(-0.4), seeded(7)))).toBeCloseTo(Math.min(1, Math.max(0, s * 1.2 - 0.1)), 5);
    const context = trainingContext(new ops.Rng(1));
    const drawn = Array.from({ length: 2000 }, () => number(() => made.gate(theta(-0.4), context)));
    const present = number(() => made.presence(theta(-0.4), undefined));
    expect(Math.abs(drawn.filter((g) => g !== 0).length / drawn.length - present)).toBeLessThan(0.04); // 4 standard deviations
    expect(drawn.some((g) => g === 1)).toBe(true);
  });
});

describe("gradients by θ", () => {
  const made: readonly GatesSettings[] = [{ strategy: "scalar" }, { strategy: "sigmoid", temperature: { from: 2, to: 0.5 } }, { strategy: "hard-concrete" }];
  for (const settings of made)
    it(`of ${settings.strategy} gates are the central differences, in training, evaluation and presence`, () => {
      const gate = strategy(settings);
      const variable = ops.Variable.from("theta", Float32Array.of(-0.3), [1]);
      const seed = [...Array(50).keys()].find((candidate) => { const u = new ops.Rng(candidate).uniform(); return u > 0.4 && u < 0.7; })!; // inside the clip
      const forms: Record<string, () => ops.Tensor> = {
        training: () => gate.gate(variable.value, { ...seeded(seed), progress: at(3) }),
        evaluation: () => gate.gate(variable.value, evaluationContext),
        presence: () => gate.presence(variable.value, at(3)),
      };
      for (const [name, f] of Object.entries(forms)) {
        const [result] = gradientCheck({ name, f: () => ops.sum(ops.scale(f(), 3)), variables: [variable], step: 1e-2, tolerance: 1e-3 });
        expect(result!.ok).toBe(true);
      }
      variable.dispose();
    });
});

it("refuses options outside the schema", () => {
  for (const settings of [{}, { strategy: "softmax" }, { strategy: "sigmoid", start: 1 }, { strategy: "scalar", temperature: {} }, { strategy: "scalar", start: 1e39 }, { strategy: "hard-concrete", low: 0 }, { strategy: "hard-concrete", high: 1 }])
    expect(() => gates(settings as never), JSON.stringify(settings)).toThrow(expect.objectContaining({ code: "options.invalid" }));
});

import { readFileSync } from "node:fs";
import { scope, tensor, Variable } from "@deft-js/tensor";
import { describe, expect, it } from "vitest";
import { adamW, scheduleFactor } from "../src/index.ts";

interface Golden {
  linear_schedule: { lr: number; num_warmup_steps: number; num_training_steps: number; lr_at_step: number[] };
  adamw: { lr: number; weight_decay: number; betas: [number, number]; eps: number; p0: number[]; grads: number[][]; p_after_each_step: number[][] };
}
const golden = JSON.parse(readFileSync(new URL("./training-fixtures/training-numerics.json", import.meta.url), "utf8")) as Golden;

/** The values of a vector after each step with the given gradients. */
function steps(definition: ReturnType<typeof adamW>, p0: number[], grads: number[][]): number[][] {
  const p = Variable.from("p", Float32Array.from(p0), [p0.length]);
  const optimizer = definition.create([p], 1);
  const values = grads.map((gradient, step) => {
    scope(() => optimizer.update(new Map([["p", tensor(gradient, [p0.length])]]), step));
    return [...p.data()];
  });
  optimizer.dispose();
  return values;
}

describe("schedules", () => {
  it("gives Hugging Face's linear learning rates, 0 at the first step", () => {
    const { lr, num_warmup_steps: warmupSteps, num_training_steps: totalSteps, lr_at_step } = golden.linear_schedule;
    const optimizer = adamW({ learningRate: lr, warmupSteps }).create([], totalSteps);
    for (const [step, expected] of lr_at_step.entries()) expect(optimizer.learningRateAt(step)).toBeCloseTo(expected, 18);
    const byRatio = adamW({ learningRate: lr, warmupRatio: 0.06 }).create([], totalSteps);
    expect(lr_at_step.map((_, step) => byRatio.learningRateAt(step))).toEqual(lr_at_step.map((_, step) => optimizer.learningRateAt(step)));
  });

  it("warms up over a fraction of a step as the reference does", () => {
    const factors = [0, 1, 2, 20].map((step) => scheduleFactor({ kind: "linear", warmupSteps: 1.2, totalSteps: 20 }, step));
    expect(factors).toEqual([0, 1 / 1.2, 18 / 18.8, 0]);
    expect(scheduleFactor({ kind: "linear", warmupSteps: 0.6, totalSteps: 10 }, 0)).toBe(0);
    expect(scheduleFactor({ kind: "linear", warmupSteps: 0.6, totalSteps: 10 }, 1)).toBe(9 / 9.4);
  });

  it("knows constant and cosine", () => {
    const at = (kind: "constant" | "cosine") => [0, 1, 2, 6, 10].map((step) => scheduleFactor({ kind, warmupSteps: 2, totalSteps: 10 }, step));
    expect(at("constant")).toEqual([0, 0.5, 1, 1, 1]);
    const [a, b, c, d, e] = at("cosine");
    expect([a, b, c]).toEqual([0, 0.5, 1]);
    expect(d).toBeCloseTo(0.5, 12);
    expect(e).toBeCloseTo(0, 12);
  });
});

describe("adamW", () => {
  const { lr: learningRate, weight_decay: weightDecay, betas: [beta1, beta2], eps: epsilon, p0, grads, p_after_each_step } = golden.adamw;
  const options = { learningRate, weightDecay, beta1, beta2, epsilon, schedule: "constant" as const };

  it("takes PyTorch's steps", () => {
    const values = steps(adamW(options), p0, grads);
    for (const [step, expected] of p_after_each_step.entries()) for (const [i, value] of expected.entries()) expect(Math.abs(values[step]![i]! - value)).toBeLessThan(3e-7);
  });

  it("multiplies the learning rate of the variables that a pattern finds, by the first one that does", () => {
    const variables = ["layer.0.mlp.gate", "layer.0.lora_A", "layer.1.mlp.gate"].map((path) => Variable.from(path, Float32Array.of(0), [1]));
    const optimizer = adamW({ learningRate: 0.1, weightDecay: 0, schedule: "constant", rates: [{ parameters: "1.*gate$", factor: 0 }, { parameters: "gate$", factor: 3 }] }).create(variables, 1);
    scope(() => optimizer.update(new Map(variables.map(({ path }) => [path, tensor([1], [1])])), 0));
    // Adam's first step is η·sign(g)
    expect(variables.map((variable) => variable.data()[0])).toEqual([expect.closeTo(-0.3, 6), expect.closeTo(-0.1, 6), 0]);
    optimizer.dispose();
    for (const rates of [[{ parameters: "gaet$", factor: 2 }], [{ parameters: "(", factor: 2 }]])
      expect(() => adamW({ learningRate: 0.1, rates }).create(variables, 1)).toThrow(expect.objectContaining({ code: "optimizer.options" }));
    for (const wrong of [{ schedule: "polynomial" }, { variant: "hf" }, { lr: 1 }]) expect(() => adamW({ learningRate: 0.1, ...wrong } as never)).toThrow(expect.objectContaining({ code: "optimizer.options" }));
    expect(() => adamW({ learningRate: 0.1, rates: [{ parameters: "gate", factor: -1 }] })).toThrow(expect.objectContaining({ code: "optimizer.options" }));
  });

  it("takes transformers' steps with the variant huggingface, where epsilon and decay stand elsewhere", () => {
    const wide = { ...options, epsilon: 1e-3, weightDecay: 0.1 };
    const m = p0.map(() => 0), v = p0.map(() => 0), p = [...p0];
    const expected = grads.map((gradient, step) => {
      for (const [i, g] of gradient.entries()) {
        m[i] = beta1 * m[i]! + (1 - beta1) * g;
        v[i] = beta2 * v[i]! + (1 - beta2) * g * g;
        const size = (learningRate * Math.sqrt(1 - beta2 ** (step + 1))) / (1 - beta1 ** (step + 1));
        p[i]! -= (size * m[i]!) / (Math.sqrt(v[i]!) + 1e-3);
        p[i]! -= learningRate * 0.1 * p[i]!;
      }
      return [...p];
    });
    const ours = steps(adamW({ ...wide, variant: "huggingface" }), p0, grads);
    const torch = steps(adamW(wide), p0, grads);
    for (const [step, row] of expected.entries()) for (const [i, value] of row.entries()) expect(Math.abs(ours[step]![i]! - value)).toBeLessThan(5e-7);
    expect(Math.abs(torch.at(-1)![0]! - expected.at(-1)![0]!)).toBeGreaterThan(1e-4);
  });

  it("continues bit for bit from its state", () => {
    const whole = steps(adamW(options), p0, grads).at(-1);
    const gradient = (i: number) => new Map([["p", tensor(grads[i]!, [4])]]);
    const first = Variable.from("p", Float32Array.from(p0), [4]);
    const before = adamW(options).create([first], 1);
    for (const step of [0, 1]) scope(() => before.update(gradient(step), step));
    const second = Variable.from("p", first.data(), [4]);
    const after = adamW(options).create([second], 1);
    after.loadState(before.state());
    for (const step of [2, 3, 4]) scope(() => after.update(gradient(step), step));
    expect([...second.data()]).toEqual(whole);
    expect(before.state().map(({ name }) => name)).toEqual(["first/p", "second/p"]);
  });

  it("refuses states of other variables and options out of range", () => {
    const optimizer = adamW(options).create([Variable.from("p", new Float32Array(2), [2])], 1);
    const state = optimizer.state();
    expect(() => optimizer.loadState(state.slice(1))).toThrow(/first\/p/);
    expect(() => optimizer.loadState([...state, { name: "q", shape: [1], values: new Float32Array(1) }])).toThrow(/q/);
    expect(() => optimizer.loadState(state.map((array) => ({ ...array, shape: [1, 2] })))).toThrow(/shape/);
    expect(() => adamW({ learningRate: NaN })).toThrow(/learningRate/);
    expect(() => adamW({ learningRate: 1, beta2: 1 })).toThrow(/beta2/);
    expect(() => adamW({ learningRate: 1, warmupRatio: 2 })).toThrow(/warmupRatio/);
    expect(() => adamW({ learningRate: 1, warmupRatio: 0.1, warmupSteps: 3 })).toThrow(/Leave one out/);
  });
});

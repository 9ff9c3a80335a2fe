import { ops, type Model, type NamedArray } from "@deft-js/core";
import { toyBatch, toyModel } from "@deft-js/testkit";
import { describe, expect, it } from "vitest";
import { averageLora, lora } from "../src/index.ts";

const random = (state: readonly NamedArray[], seed: number): readonly NamedArray[] => {
  const rng = new ops.Rng(seed);
  return state.map((array) => ({ ...array, values: rng.normals(array.values.length, 0.3) }));
};

function logits(model: Model): number[] {
  const batch = toyBatch();
  return [...ops.scope(() => ops.read(model.forward(batch).logits))];
}

describe("averageLora", () => {
  it("is exact with cat: the same logits as the weighted updates merged one after the other", async () => {
    const model = await toyModel({ sizes: { layers: 1 } });
    const methods = [lora({ rank: 2, alpha: 4, target: "query$" }), lora({ rank: 3, alpha: 3, target: "query$" })];
    const weights = [0.25, -0.75];
    const states = methods.map((method, i) => {
      const attachment = method.attach(model, new ops.Rng(1));
      const state = random(attachment.state(), i);
      attachment.detach();
      return state;
    });
    const { method, state } = averageLora(methods.map((one, i) => ({ method: one, state: () => states[i]!, weight: weights[i]! })));
    expect(method.options).toMatchObject({ rank: 5, alpha: 5 });
    const averaged = method.attach(model, new ops.Rng(1));
    averaged.loadState(state);
    const found = logits(model);
    averaged.detach();
    for (const [i, one] of methods.entries()) {
      const attachment = one.attach(model, new ops.Rng(1));
      attachment.loadState(states[i]!.map((array) => (array.name.endsWith("lora_B") ? { ...array, values: array.values.map((value) => value * weights[i]!) } : array)));
      attachment.merge!();
    }
    logits(model).forEach((value, i) => expect(value).toBeCloseTo(found[i]!, 5));
    model.dispose();
  });

  it("combines linearly as HF PEFT does, reckoned by hand", () => {
    const method = lora({ rank: 1, alpha: 4 });
    const of = (a: number, b: number): readonly NamedArray[] => [{ name: "x.lora_A", shape: [1, 1], values: Float32Array.of(a) }, { name: "x.lora_B", shape: [1, 1], values: Float32Array.of(b) }];
    // √(0.25·4) = 1 and √(4·4) = 4: A = 1·2 + 4·1 = 6, B = 1·3 + 4·0.5 = 5, scale 1
    const { method: averaged, state } = averageLora([{ method, state: () => of(2, 3), weight: 0.25 }, { method, state: () => of(1, 0.5), weight: 4 }], { combination: "linear" });
    expect(state.map(({ values }) => values[0])).toEqual([6, 5]);
    expect(averaged.options).toMatchObject({ rank: 1, alpha: 1 });
  });

  it("refuses none, other layers, other ranks and weights that do not fit", () => {
    const at = (name: string, rank = 1) => ({ method: lora({ rank }), state: (): readonly NamedArray[] => [{ name: `${name}.lora_A`, shape: [1, rank], values: new Float32Array(rank) }], weight: 1 });
    for (const [adapters, combination] of [[[], "cat"], [[at("x"), at("y")], "cat"], [[at("x"), at("x", 2)], "linear"], [[{ ...at("x"), weight: -1 }], "linear"], [[{ ...at("x"), weight: NaN }], "cat"]] as const)
      expect(() => averageLora(adapters, { combination })).toThrow(expect.objectContaining({ code: "lora.average" }));
  });
});

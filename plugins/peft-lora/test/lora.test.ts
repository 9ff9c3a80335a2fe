import { DenseWeight, Kernel, ops, PEFT_METHOD, ADAPTER_READER, trainingContext, type Model } from "@deft-js/core";
import { toyBatch, toyModel } from "@deft-js/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { lora, loraPlugin } from "../src/index.ts";

const QUERY = "toy.encoder.layer.0.attention.self.query";

async function withToy(body: (model: Model) => void): Promise<void> {
  const model = await toyModel({ sizes: { layers: 1 } });
  try {
    body(model);
  } finally {
    model.dispose();
  }
}

/** What the wrapped site does to an input, with the model's weight replaced by one that is easy to reckon with. */
function siteOutput(model: Model, x: number[], context = { training: false, nextSeed: () => 0 }): number[] {
  const site = model.sites("linear", new RegExp(`^${QUERY}$`))[0] as unknown as { run(x: ops.Tensor, c: typeof context, base: (x: ops.Tensor) => ops.Tensor): ops.Tensor };
  return ops.scope(() => [...ops.read(site.run(ops.tensor(x, [1, x.length]), context, (input) => input))]);
}

describe("lora", () => {
  it("adds α/r·(x·A)·B, reckoned by hand", () =>
    withToy((model) => {
      const attachment = lora({ rank: 2, alpha: 6, target: /query$/ }).attach(model, new ops.Rng(1));
      const a = new Float32Array(12); // A [6, 2]: x·A = (x₀ + 2x₁, x₂)
      [a[0], a[2], a[5]] = [1, 2, 1];
      const b = new Float32Array(12); // B [2, 6]: u·B = (0.5u₀, 0, u₁, 0, 0, −u₀)
      [b[0], b[5], b[8]] = [0.5, -1, 1];
      attachment.loadState([{ name: `${QUERY}.lora_A`, shape: [6, 2], values: a }, { name: `${QUERY}.lora_B`, shape: [2, 6], values: b }]);
      // u = (1 + 4, 3) = (5, 3); 3·u·B = (7.5, 0, 9, 0, 0, −15)
      expect(siteOutput(model, [1, 2, 3, 4, 5, 6])).toEqual([8.5, 2, 12, 4, 5, -9]);
      attachment.detach();
      expect(siteOutput(model, [1, 2, 3, 4, 5, 6])).toEqual([1, 2, 3, 4, 5, 6]);
    }));

  it("starts with A within ±1/√dIn and B at zero", () =>
    withToy((model) => {
      const attachment = lora({ rank: 40, target: "query$" }).attach(model, new ops.Rng(1));
      const [a, b] = attachment.state();
      const bound = 1 / Math.sqrt(6);
      const largest = Math.max(...a!.values.map(Math.abs));
      expect(largest).toBeLessThanOrEqual(Math.fround(bound));
      expect(largest).toBeGreaterThan(0.9 * bound);
      expect(b!.values.every((value) => value === 0)).toBe(true);
      attachment.detach();
    }));

  it("drops elements of the branch's input alone, while training alone", () =>
    withToy((model) => {
      const attachment = lora({ rank: 6, alpha: 6, dropout: 0.5, target: /query$/ }).attach(model, new ops.Rng(1));
      const identity = Float32Array.from({ length: 36 }, (_, i) => Number(i % 7 === 0));
      attachment.loadState([{ name: `${QUERY}.lora_A`, shape: [6, 6], values: identity }, { name: `${QUERY}.lora_B`, shape: [6, 6], values: identity }]);
      const x = [1, 1, 1, 1, 1, 1];
      expect(siteOutput(model, x)).toEqual([2, 2, 2, 2, 2, 2]);
      const trained = siteOutput(model, x, trainingContext(new ops.Rng(5)));
      expect(new Set(trained)).toEqual(new Set([1, 3])); // base 1, branch 0 or 1/(1 − ½)
      attachment.detach();
    }));

  it("merges into a weight of another format as a dense one", () =>
    withToy((model) => {
      const site = model.sites("linear", /query$/)[0]!;
      const inner = new DenseWeight(new ops.Variable("inner", ops.scope(() => site.weight!.dense().clone()), { trainable: false }));
      model.replaceWeight(QUERY, { shape: inner.shape, format: "other", bytes: 1, apply: (x, bias) => inner.apply(x, bias), dense: () => inner.dense(), dispose: () => inner.dispose() });
      const batch = toyBatch();
      const logits = (): Float32Array => ops.scope(() => ops.read(model.forward(batch).logits));
      const attachment = lora({ rank: 2, target: /query$/ }).attach(model, new ops.Rng(1));
      attachment.loadState(attachment.state().map((array) => ({ ...array, values: array.values.map((_, i) => 0.1 * (i % 3)) })));
      const unmerged = logits();
      attachment.merge!();
      expect(site.weight!.format).toBe("dense");
      expect(model.parameters().get(`${QUERY}.weight`)?.trainable).toBe(false);
      for (const [i, value] of logits().entries()) expect(value).toBeCloseTo(unmerged[i]!, 5);
    }));

  it("names what it knows when the target matches nothing", () =>
    withToy((model) => {
      expect(() => lora({ target: "attn" }).attach(model, new ops.Rng(1))).toThrow(/^lora: target must match a linear layer, got \/attn\/\. Known: toy\.encoder\.layer\.\*\.attention\.self\.query, /);
      expect(() => lora({ target: "attn" }).attach(model, new ops.Rng(1))).toThrow(expect.objectContaining({ code: "lora.target" }));
    }));

  it("refuses options outside its schema", () => {
    for (const settings of [{ rank: 0 }, { rank: 1.5 }, { alpha: -1 }, { dropout: 1 }, { target: "(" }, { bias: "all" }, { ranks: 8 }])
      expect(() => lora(settings as never), JSON.stringify(settings)).toThrow(expect.objectContaining({ code: "options.invalid" }));
    expect(() => lora({ target: /q/i })).toThrow(/without flags/);
  });

  it("is made by the kernel from a recipe's options", () => {
    const kernel = new Kernel().use(loraPlugin);
    expect(kernel.create(PEFT_METHOD, "lora", { rank: 4, alpha: 8 }).options).toEqual(lora({ rank: 4, alpha: 8 }).options);
    expect(() => kernel.create(PEFT_METHOD, "lora", { rank: "4" })).toThrow(expect.objectContaining({ code: "options.invalid" }));
    expect(kernel.contributions(ADAPTER_READER).map(({ id }) => id)).toEqual(["lora-peft", "lora-adapterhub"]);
  });

  it("takes any valid options through JSON", () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 64 }), fc.double({ min: 0.1, max: 64, noNaN: true }), fc.double({ min: 0, max: 0.99, noNaN: true }), (rank, alpha, dropout) => {
      const { options } = lora({ rank, alpha, dropout });
      expect(lora(JSON.parse(JSON.stringify(options)) as never).options).toEqual(options);
    }));
  });
});

import { ADAPTER_READER, evaluationContext, Kernel, ops, PEFT_METHOD, type AttentionInput, type Model, type SitePoint } from "@deft-js/core";
import { gradientCheck, toyBatch, toyModel } from "@deft-js/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { apart, besides } from "../src/columns.ts";
import { prefix, prefixPlugin, type PrefixSettings } from "../src/index.ts";
import { goldenBert, goldenT5, oddT5 } from "./goldens.ts";

const SIZES = { dModel: 2, layers: 1 };
const SITE = "toy.encoder.layer.0.attention.self";

async function withModel(build: () => Promise<Model>, body: (model: Model) => void): Promise<void> {
  const model = await build();
  try {
    body(model);
  } finally {
    model.dispose();
  }
}

const toy = () => toyModel({ sizes: SIZES });

/** What reaches the attention at a site for one query, two keys of width 2 and one head. */
function reaching(model: Model, path: string, input: Partial<AttentionInput> = {}) {
  const site = model.sites("attention").find((one) => one.path === path) as SitePoint<"attention">;
  return ops.scope(() => {
    let seen: AttentionInput | undefined;
    const own = { query: ops.tensor([1, 1], [1, 1, 2]), key: ops.tensor([1, 2, 3, 4], [1, 2, 2]), value: ops.tensor([5, 6, 7, 8], [1, 2, 2]), heads: 1, scale: 1, causal: false, context: evaluationContext };
    site.run({ ...own, ...input }, evaluationContext, (given) => ((seen = given), given.query));
    const { key, value, mask, bias } = seen as AttentionInput;
    const plain = (x: ops.Tensor | undefined) => x && [...ops.read(x)];
    return { key: plain(key), value: plain(value), mask: plain(mask), bias: plain(bias) };
  });
}

/** Attaches a prefix whose values count 10, 11, … in the order of its state. */
function attach(model: Model, settings: PrefixSettings) {
  const attachment = prefix(settings).attach(model, new ops.Rng(1));
  let next = 10;
  attachment.loadState(attachment.state().map((array) => ({ ...array, values: array.values.map(() => next++) })));
  return attachment;
}

describe("prefix", () => {
  it("puts its keys and values in front, unmasked and with a bias of 0", () =>
    withModel(toy, (model) => {
      const attachment = attach(model, { virtualTokens: 1 });
      expect(attachment.variables.map(({ path }) => path)).toEqual(["prefix.self.0.key", "prefix.self.0.value"]);
      const input = { mask: ops.tensor([1, 0], [1, 2]), bias: ops.tensor([0.5, 0.25], [1, 1, 1, 2]) };
      expect(reaching(model, SITE, input)).toEqual({ key: [10, 11, 1, 2, 3, 4], value: [12, 13, 5, 6, 7, 8], mask: [1, 1, 0], bias: [0, 0.5, 0.25] });
      expect(reaching(model, SITE)).toMatchObject({ mask: undefined, bias: undefined });
      attachment.detach();
      expect(reaching(model, SITE)).toMatchObject({ key: [1, 2, 3, 4], value: [5, 6, 7, 8] });
    }));

  it("keeps its bias of 0 beside a prefix that counts as positions, in either order", () =>
    withModel(goldenT5, (model) => {
      const batch = { size: 1, seq: 4, inputIds: ops.intTensor([3, 4, 5, 1], [1, 4]), attentionMask: ops.ones([1, 4]), labels: ops.intTensor([6, 7, 1], [1, 3]) };
      const logits = (): number[] => [...ops.scope(() => ops.read(model.forward(batch).logits))];
      for (const compat of ["peft", "adapter-transformers"] as const) {
        const both = (order: readonly PrefixSettings[]): number[] => {
          const attached = order.map((settings) => {
            const attachment = prefix({ ...settings, cross: false }).attach(model, new ops.Rng(1));
            const rng = new ops.Rng(settings.virtualTokens!);
            attachment.loadState(attachment.state().map((array) => ({ ...array, values: rng.fork(array.name).normals(array.values.length, 1) })));
            return attachment;
          });
          const found = logits();
          attached.forEach((one) => one.detach());
          return found;
        };
        const [plain, counted] = [{ virtualTokens: 2 }, { virtualTokens: 3, compat }];
        const inner = both([plain, counted]);
        for (const [i, value] of both([counted, plain]).entries()) expect(value).toBeCloseTo(inner[i]!, 4);
      }
    }));

  it("with the MLP is tanh(E·W₁ + b₁)·W₂ + b₂", () =>
    withModel(toy, (model) => {
      const attachment = prefix({ virtualTokens: 1, projectionSize: 1 }).attach(model, new ops.Rng(1));
      const values: Record<string, number[]> = {
        embedding: [1, 2], "down.weight": [0.5, -0.5], "down.bias": [0.75], // tanh(0.5 − 1 + 0.75) = tanh(0.25)
        "0.key.weight": [2, 4], "0.key.bias": [1, 0], "0.value.weight": [0, 1], "0.value.bias": [0, 3],
      };
      attachment.loadState(attachment.state().map((array) => ({ ...array, values: Float32Array.from(values[array.name.replace("prefix.self.", "")]!) })));
      const t = Math.tanh(0.25);
      const { key, value } = reaching(model, SITE);
      for (const [i, x] of [1 + 2 * t, 4 * t].entries()) expect(key![i]).toBeCloseTo(x, 6);
      for (const [i, x] of [0, 3 + t].entries()) expect(value![i]).toBeCloseTo(x, 6);
      attachment.detach();
    }));

  it.each([{ virtualTokens: 2 }, { virtualTokens: 2, projectionSize: 3 }])("has the gradient of central differences, %j", (settings) =>
    withModel(() => toyModel(), (model) => {
      const batch = toyBatch();
      const attachment = prefix(settings).attach(model, new ops.Rng(4));
      gradientCheck({ name: "prefix", f: () => model.loss(model.forward(batch), batch), variables: attachment.variables, step: 1e-3, tolerance: 5e-3 });
    }));

  it("drops elements of its keys and values, while training alone", () =>
    withModel(toy, (model) => {
      const attachment = prefix({ virtualTokens: 64, dropout: 0.5 }).attach(model, new ops.Rng(1));
      attachment.loadState(attachment.state().map((array) => ({ ...array, values: array.values.map(() => 1) })));
      const site = model.sites("attention")[0] as SitePoint<"attention">;
      const keys = (context: typeof evaluationContext) =>
        ops.scope(() => {
          let found: number[] = [];
          const x = ops.tensor([1, 1], [1, 1, 2]);
          site.run({ query: x, key: x, value: x, heads: 1, scale: 1, causal: false, context }, context, ({ key, query }) => ((found = [...ops.read(key)].slice(0, -2)), query));
          return new Set(found);
        });
      let seed = 1;
      expect(keys({ training: true, nextSeed: () => seed++ })).toEqual(new Set([0, 2]));
      expect(keys(evaluationContext)).toEqual(new Set([1]));
      attachment.detach();
    }));

  it("is made by the kernel from a recipe's options, and refuses what is outside its schema", () => {
    const kernel = new Kernel().use(prefixPlugin);
    expect(kernel.create(PEFT_METHOD, "prefix", { virtualTokens: 4 }).options).toEqual(prefix({ virtualTokens: 4 }).options);
    expect(kernel.contributions(ADAPTER_READER).map(({ id }) => id)).toEqual(["prefix-peft", "prefix-adapterhub"]);
    for (const settings of [{ virtualTokens: 0 }, { projectionSize: 0 }, { dropout: 1 }, { compat: "adapterhub" }, { flat: true }])
      expect(() => prefix(settings as never), JSON.stringify(settings)).toThrow(expect.objectContaining({ code: "options.invalid" }));
    expect(() => prefix().attach({ family: "bare", config: {}, sites: () => [] } as unknown as Model, new ops.Rng(1))).toThrow(expect.objectContaining({ code: "prefix.target" }));
  });
});

/** A relative bias that tells what it was asked for: 100·(first query's position) + key. */
const telling: NonNullable<AttentionInput["relativeBias"]> = ({ queries, keys, queryOffset }) =>
  ops.tensor(Float32Array.from({ length: queries * keys }, (_, i) => 100 * queryOffset + (i % keys)), [1, 1, queries, keys]);

describe("prefix on an encoder-decoder", () => {
  const withBias = { bias: ops.tensor([7, 7], [1, 1, 1, 2]), relativeBias: telling };
  const at = (part: string, layer: number) => (part === "cross" ? `decoder.block.${layer}.layer.1.EncDecAttention` : `${part}.block.${layer}.layer.0.SelfAttention`);
  const narrow = { width: 32 };
  /** The first element of the key in front at an attention; undefined where there is none. */
  const front = (model: Model, path: string, keys = 3): number | undefined => {
    const wide = { query: ops.zeros([1, 1, narrow.width]), key: ops.zeros([1, keys, narrow.width]), value: ops.zeros([1, keys, narrow.width]) };
    return reaching(model, path, wide).key![0] || undefined;
  };

  it("has keys and values of its own at encoder, decoder and cross-attention, whatever their width", () =>
    withModel(oddT5, (model) => {
      const attachment = prefix({ virtualTokens: 1 }).attach(model, new ops.Rng(1));
      const shapes = attachment.state().map(({ name, shape }) => `${name.replace(/\.\d\.(key|value)$/, "")} ${shape}`);
      expect(shapes).toEqual([...Array<string>(6).fill("prefix.encoder 1,6"), ...Array<string>(4).fill("prefix.self 1,6"), ...Array<string>(4).fill("prefix.cross 1,6")]);
      expect(attachment.layouts).toEqual({});
      attachment.detach();
      const some = prefix({ virtualTokens: 1, encoder: false, cross: false }).attach(model, new ops.Rng(1));
      expect(some.variables.map(({ path }) => path)).toEqual(["prefix.self.0.key", "prefix.self.0.value", "prefix.self.1.key", "prefix.self.1.value"]);
      some.detach();
      for (const compat of ["peft", "adapter-transformers"] as const) expect(() => prefix({ compat }).attach(model, new ops.Rng(1))).toThrow(expect.objectContaining({ code: "prefix.compat" }));
    }));

  it("changes what every attention reads: the source's prefix and that of cross-attention reach the logits", () =>
    withModel(oddT5, (model) => {
      const batch = { size: 1, seq: 2, inputIds: ops.intTensor([5, 1], [1, 2]), attentionMask: ops.ones([1, 2]), labels: ops.intTensor([7, 1], [1, 2]) };
      const attachment = prefix({ virtualTokens: 2 }).attach(model, new ops.Rng(1));
      const { gradients } = ops.valueAndGradients(() => model.loss(model.forward(batch), batch), attachment.variables);
      for (const [path, gradient] of gradients) expect(ops.read(gradient).some((x) => x !== 0), path).toBe(true);
      attachment.detach();
    }));

  it("leaves the tokens' relative biases as they are; each peer counts the prefix in its own way", () =>
    withModel(goldenT5, (model) => {
      const biasWith = (compat: PrefixSettings["compat"], path: string) => {
        const attachment = prefix({ virtualTokens: 2, compat }).attach(model, new ops.Rng(1));
        const wide = { query: ops.zeros([1, 1, 32]), key: ops.zeros([1, 2, 32]), value: ops.zeros([1, 2, 32]) };
        const { bias } = reaching(model, path, { ...wide, ...withBias });
        attachment.detach();
        return bias;
      };
      expect(biasWith(undefined, at("decoder", 0))).toEqual([0, 0, 7, 7]);
      expect(biasWith("peft", at("decoder", 0))).toEqual([300, 301, 302, 303]); // one query, the last of 2 + 2 positions
      expect(biasWith("adapter-transformers", at("decoder", 0))).toEqual([100, 101, 102, 103]); // the query stays the last of 2
    }));

  it("hands PEFT's entries out two to a layer of the decoder, and to cross-attention when the source is as long as the prefix", () =>
    withModel(goldenT5, (model) => {
      const attachment = attach(model, { virtualTokens: 1, compat: "peft" });
      const [first, second] = [10, 10 + 2 * 32];
      expect(attachment.variables.map(({ path }) => path)).toEqual(["prefix.self.0.key", "prefix.self.0.value", "prefix.self.1.key", "prefix.self.1.value"]);
      expect([0, 1].map((layer) => front(model, at("encoder", layer)))).toEqual([undefined, undefined]);
      expect([0, 1].map((layer) => front(model, at("decoder", layer)))).toEqual([first, first]);
      expect([0, 1].map((layer) => front(model, at("cross", layer)))).toEqual([undefined, undefined]);
      expect([0, 1].map((layer) => front(model, at("cross", layer), 1))).toEqual([second, second]);
      attachment.detach();
    }));
});

describe("positions of a lone encoder", () => {
  it("stay, but behind the prefix with compat peft", () =>
    withModel(() => goldenBert("none"), (model) => {
      const offset = (compat: PrefixSettings["compat"]) => {
        const attachment = prefix({ virtualTokens: 4, compat }).attach(model, new ops.Rng(1));
        const site = model.sites("embedding")[0] as SitePoint<"embedding">;
        let seen: number | undefined;
        ops.scope(() => site.run({ inputIds: ops.intTensor([1], [1, 1]), attentionMask: ops.ones([1, 1]) }, evaluationContext, (input) => ((seen = input.positionOffset), { hidden: input.attentionMask, attentionMask: input.attentionMask })));
        attachment.detach();
        return { seen, layouts: Object.keys(attachment.layouts ?? {}) };
      };
      expect(offset(undefined)).toEqual({ seen: undefined, layouts: ["adapterhub"] });
      expect(offset("adapter-transformers")).toEqual({ seen: undefined, layouts: ["adapterhub"] });
      expect(offset("peft")).toEqual({ seen: 4, layouts: ["peft"] });
    }));
});

describe("columns", () => {
  it("stand side by side and come apart again", () => {
    expect([...besides([Float32Array.of(1, 2, 3, 4), Float32Array.of(5, 6, 7, 8)], 2)]).toEqual([1, 2, 5, 6, 3, 4, 7, 8]);
    fc.assert(fc.property(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 5 }), (rows, width, count) => {
      const blocks = Array.from({ length: count }, (_, b) => Float32Array.from({ length: rows * width }, (_, i) => 100 * b + i));
      expect(apart(besides(blocks, rows), rows, count)).toEqual(blocks);
    }));
  });
});

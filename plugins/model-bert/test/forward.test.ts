import { join } from "node:path";
import { ops, trainingContext, type Batch, type HeadKind, type Model, type ModelConfig, type SiteKind } from "@deft-js/core";
import { describe, expect, it } from "vitest";
import { bertFamily } from "../src/index.ts";
import { FIXTURES, goldenBatch, goldenModel } from "./goldens.ts";

const { Rng, read, scope } = ops;
const folder = join(FIXTURES, "bert-seqcls");

const small: ModelConfig = { model_type: "bert", vocab_size: 12, hidden_size: 8, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 6, max_position_embeddings: 9, initializer_range: 0.5 };
const random = (change: ModelConfig = {}, head: HeadKind = "sequence-classification") => bertFamily.build({ config: { ...small, ...change }, head, rng: new Rng(11), labels: 3 });

function batchOf(ids: readonly (readonly number[])[], more: { mask?: number[][]; types?: number[][]; labels?: number[]; scores?: number[] } = {}): Batch {
  const [size, seq] = [ids.length, ids[0]!.length];
  return {
    size,
    seq,
    inputIds: ops.intTensor(ids.flat(), [size, seq]),
    attentionMask: ops.tensor(more.mask?.flat() ?? ids.flatMap((row) => row.map(() => 1)), [size, seq]),
    tokenTypeIds: more.types && ops.intTensor(more.types.flat(), [size, seq]),
    labels: more.labels && ops.intTensor(more.labels, more.labels.length === size ? [size] : [size, seq]),
    scores: more.scores && ops.tensor(more.scores, [size]),
  };
}

const logits = (model: Model, batch: Batch, seed?: number): number[] => scope(() => [...read(model.forward(batch, {}, seed === undefined ? undefined : trainingContext(new Rng(seed))).logits)]);

describe("masking", () => {
  it("keeps what stands at padded positions out of the others", async () => {
    const model = await random();
    const mask = [[1, 1, 1, 0, 0]];
    expect(logits(model, batchOf([[3, 4, 5, 0, 0]], { mask }))).toEqual(logits(model, batchOf([[3, 4, 5, 9, 7]], { mask })));
    expect(logits(model, batchOf([[3, 4, 5, 0, 0]], { mask }))).not.toEqual(logits(model, batchOf([[3, 4, 5, 0, 0]])));
    const short = logits(model, batchOf([[3, 4, 5]]));
    for (const [i, v] of logits(model, batchOf([[3, 4, 5, 0, 0]], { mask })).entries()) expect(v).toBeCloseTo(short[i]!, 5);
  });

  it("stays finite for a row that is all padding", async () => {
    const model = await random();
    expect(logits(model, batchOf([[0, 0, 0]], { mask: [[0, 0, 0]] })).every(Number.isFinite)).toBe(true);
  });

  it("treats left-out token types as zeros", async () => {
    const model = await random();
    const ids = [[3, 4, 5]];
    expect(logits(model, batchOf(ids, { types: [[0, 0, 0]] }))).toEqual(logits(model, batchOf(ids)));
    expect(logits(model, batchOf(ids, { types: [[0, 1, 1]] }))).not.toEqual(logits(model, batchOf(ids)));
  });
});

describe("positions", () => {
  /** A model whose normalised embedding peaks at the position's own index. */
  async function positions(type: "bert" | "roberta"): Promise<(ids: number[], more?: { positionOffset?: number; prompt?: number }) => number[]> {
    const model = await random({ model_type: type, hidden_size: 16, max_position_embeddings: 16, type_vocab_size: type === "bert" ? 2 : 1 }, "none");
    const set = (name: string, values: Float32Array) => model.parameters().get(`${type}.embeddings.${name}.weight`)!.load(values);
    set("word_embeddings", new Float32Array(12 * 16));
    set("token_type_embeddings", new Float32Array((type === "bert" ? 2 : 1) * 16));
    set("position_embeddings", Float32Array.from({ length: 256 }, (_, i) => (i % 17 === 0 ? 1 : 0)));
    return (ids, { prompt, ...more } = {}) =>
      scope(() => {
        const undo = model.sites("embedding")[0]!.wrap((input, base) => base({ ...input, ...more, prompt: prompt === undefined ? undefined : ops.zeros([prompt, 16]) }));
        const [hidden] = model.forward(batchOf([ids]), { hiddenStates: true }).hiddenStates;
        undo();
        const values = read(hidden!);
        return Array.from({ length: values.length / 16 }, (_, p) => values.subarray(p * 16, p * 16 + 16).reduce((best, v, i, row) => (v > row[best]! ? i : best), 0));
      });
  }

  it("are counted from the offset in BERT, padding and prompt included", async () => {
    const at = await positions("bert");
    expect(at([5, 6, 0, 7])).toEqual([0, 1, 2, 3]);
    expect(at([5, 6, 0, 7], { positionOffset: 5 })).toEqual([5, 6, 7, 8]);
    expect(at([5, 6], { prompt: 3 })).toEqual([0, 1, 2, 3, 4]);
  });

  it("follow the ids in RoBERTa, and all rows in order when a prompt stands in front", async () => {
    const at = await positions("roberta");
    expect(at([5, 6, 1, 7, 1, 1])).toEqual([2, 3, 1, 4, 1, 1]);
    expect(at([5, 6, 1, 7, 1, 1], { positionOffset: 5 })).toEqual([7, 8, 1, 9, 1, 1]);
    expect(at([5, 6, 1, 1], { prompt: 2 })).toEqual([2, 3, 4, 5, 6, 7]);
  });

  it("are refused past the table", async () => {
    const [bert, roberta] = [await random(), await random({ model_type: "roberta" })];
    expect(logits(bert, batchOf([Array(9).fill(3)]))).toHaveLength(3);
    expect(logits(roberta, batchOf([Array(7).fill(3)]))).toHaveLength(3);
    expect(() => logits(bert, batchOf([Array(10).fill(3)]))).toThrow(expect.objectContaining({ code: "model.length" }));
    expect(() => logits(roberta, batchOf([Array(8).fill(3)]))).toThrow(expect.objectContaining({ code: "model.length" }));
  });

  it("ignore token types in a model that has one", async () => {
    const model = await random({ model_type: "roberta", type_vocab_size: 1 });
    expect(logits(model, batchOf([[3, 4]], { types: [[0, 1]] }))).toEqual(logits(model, batchOf([[3, 4]])));
  });
});

describe("sites", () => {
  it("stand at the Hugging Face paths with their sizes", async () => {
    const model = await random();
    const list = (kind: SiteKind) => model.sites(kind).map((s) => `${s.path} ${s.dIn} ${s.dOut} ${s.layer ?? "-"} ${s.role ?? "-"}`);
    const l = "bert.encoder.layer.1";
    expect(list("linear").slice(6)).toEqual([
      `${l}.attention.self.query 8 8 1 -`,
      `${l}.attention.self.key 8 8 1 -`,
      `${l}.attention.self.value 8 8 1 -`,
      `${l}.attention.output.dense 8 8 1 -`,
      `${l}.intermediate.dense 8 6 1 mlp-up`,
      `${l}.output.dense 6 8 1 mlp-down`,
      "bert.pooler.dense 8 8 - -",
    ]);
    expect(list("residual").slice(2)).toEqual([`${l}.attention.output 8 8 1 attention`, `${l}.output 8 8 1 mlp`]);
    expect(list("activation")[1]).toBe(`${l}.intermediate.intermediate_act_fn 6 6 1 -`);
    expect(list("attention")[1]).toBe(`${l}.attention.self 8 8 1 attention`);
    expect(list("mlp")[1]).toBe(`${l}.mlp 8 8 1 -`);
    expect(list("embedding")).toEqual(["bert.embeddings 12 8 - -"]);
    expect(model.sites("linear", /attention\.self\.(query|value)$/)).toHaveLength(4);
  });

  it.each(["embedding", "linear", "attention", "residual", "activation", "mlp"] as const)("change the result when %s is changed, and give the bits back after undo", async (kind) => {
    const model = await goldenModel(folder);
    const batch = goldenBatch(folder);
    const before = logits(model, batch);
    const more = (x: ops.Tensor) => ops.scale(x, 1.5);
    const undo = model.sites(kind).map((site) => site.wrap((input, base) => {
      const y = base(input);
      return ("hidden" in y ? { ...y, hidden: more(y.hidden) } : more(y)) as never;
    }));
    expect(logits(model, batch)).not.toEqual(before);
    for (const u of undo.reverse()) u();
    expect(logits(model, batch)).toEqual(before);
  });

  it("let a wrapper pass an MLP over: its layer is not tapped", async () => {
    const model = await random();
    model.sites("mlp", /layer\.0/)[0]!.wrap((x) => ops.scale(x, 0));
    scope(() => {
      const { activations, hiddenStates } = model.forward(batchOf([[3, 4]]), { activations: true, hiddenStates: true });
      expect(activations.map((a) => a.layer)).toEqual([1]);
      expect(hiddenStates).toHaveLength(3);
    });
  });

  it("tap what the activation's wrappers made of it, with the batch's mask", async () => {
    const model = await random();
    for (const site of model.sites("activation")) site.wrap((x, base) => ops.scale(base(x), 0));
    scope(() => {
      const { activations } = model.forward(batchOf([[3, 4, 0]], { mask: [[1, 1, 0]] }), { activations: true });
      for (const a of activations) {
        expect([...read(a.value)].every((v) => v === 0)).toBe(true);
        expect([...read(a.mask)]).toEqual([1, 1, 0]);
      }
      expect(activations.map((a) => a.path)).toEqual(model.sites("activation").map((s) => s.path));
    });
  });
});

describe("training", () => {
  it("drops by the context's seeds, and not at all at rate 0", async () => {
    const model = await random();
    const batch = batchOf([[3, 4, 5]]);
    expect(logits(model, batch, 1)).toEqual(logits(model, batch, 1));
    expect(logits(model, batch, 1)).not.toEqual(logits(model, batch, 2));
    expect(logits(model, batch, 1)).not.toEqual(logits(model, batch));
    const dry = await random({ hidden_dropout_prob: 0, attention_probs_dropout_prob: 0 });
    expect(logits(dry, batch, 1)).toEqual(logits(dry, batch));
  });

  it.each([
    ["bert", "sequence-classification", {}, 1 + 2 * 3 + 1],
    ["roberta", "sequence-classification", {}, 1 + 2 * 3 + 2],
    ["bert", "tanh-classification", {}, 1 + 2 * 3 + 2],
    ["bert", "none", {}, 1 + 2 * 3],
    ["bert", "masked-language-model", {}, 1 + 2 * 3],
    ["bert", "none", { hidden_dropout_prob: 0 }, 2],
    ["bert", "sequence-classification", { hidden_dropout_prob: 0, attention_probs_dropout_prob: 0, classifier_dropout: 0.2 }, 1],
  ] as const)("drops where the reference does: %s with %s %j draws %i seeds", async (model_type, head, rates, seeds) => {
    const model = await random({ model_type, ...rates }, head);
    let drawn = 0;
    scope(() => void model.forward(batchOf([[3, 4]]), {}, { training: true, nextSeed: () => drawn++ }));
    expect(drawn).toBe(seeds);
  });

  it("has the gradient of every parameter of a masked language model, padding rows excepted", async () => {
    const model = await random({ initializer_range: 0.3 }, "masked-language-model");
    const variables = [...model.parameters().values()];
    const batch = batchOf([[3, 0, 5], [6, 7, 8]], { labels: [3, -100, 4, -100, 7, -100] });
    const loss = () => model.loss(model.forward(batch), batch);
    scope(() => {
      const { gradients } = ops.valueAndGradients(loss, variables);
      for (const v of variables) {
        const gradient = read(gradients.get(v.path)!);
        const at = v.data();
        const index = gradient.reduce((best, g, i) => (Math.abs(g) > Math.abs(gradient[best]!) ? i : best), 0);
        const probe = (step: number): number => {
          const moved = Float32Array.from(at);
          moved[index]! += step;
          v.load(moved);
          return scope(() => read(loss())[0]!);
        };
        const numeric = (probe(1e-2) - probe(-1e-2)) / 2e-2;
        v.load(at);
        expect(Math.abs(numeric - gradient[index]!), v.path).toBeLessThan(2e-3 + 2e-2 * Math.abs(numeric));
      }
    });
  });
});

describe("heads", () => {
  it("compute masked-language-model logits as LN(f(h·W + b))·Eᵀ + c", async () => {
    for (const [type, act, prefix, norm] of [["bert", "relu", "cls.predictions.transform", "LayerNorm"], ["roberta", "relu", "lm_head", "layer_norm"]] as const) {
      const model = await random({ model_type: type, hidden_act: act, initializer_range: 0.4 }, "masked-language-model");
      const parameters = new Map([...model.exportParameters()].map((t) => [t.name, t.values]));
      const p = (name: string) => parameters.get(name)!;
      model.parameters().get(type === "bert" ? "cls.predictions.bias" : "lm_head.bias")!.load(Float32Array.from({ length: 12 }, (_, i) => i / 10));
      const [got, hidden] = scope(() => {
        const { logits: l, hiddenStates } = model.forward(batchOf([[3, 4, 5]]), { hiddenStates: true });
        return [[...read(l)], read(hiddenStates.at(-1)!)] as const;
      });
      const erf = (x: number) => { let s = 0, t = x; for (let n = 0; n < 60; n++) { s += t / (2 * n + 1); t *= (-x * x) / (n + 1); } return (2 / Math.sqrt(Math.PI)) * s; };
      const f = (x: number) => (type === "bert" ? Math.max(x, 0) : (x / 2) * (1 + erf(x / Math.SQRT2)));
      for (let position = 0; position < 3; position++) {
        const h = hidden.subarray(position * 8, position * 8 + 8);
        const t = Array.from({ length: 8 }, (_, o) => f(h.reduce((s, v, i) => s + v * p(`${prefix}.dense.weight`)[o * 8 + i]!, p(`${prefix}.dense.bias`)[o]!)));
        const mean = t.reduce((a, b) => a + b) / 8;
        const deviation = Math.sqrt(t.reduce((s, v) => s + (v - mean) ** 2, 0) / 8 + 1e-12);
        const z = t.map((v, i) => ((v - mean) / deviation) * p(`${prefix}.${norm}.weight`)[i]! + p(`${prefix}.${norm}.bias`)[i]!);
        for (let w = 0; w < 12; w++) expect(got[position * 12 + w]).toBeCloseTo(z.reduce((s, v, i) => s + v * p(`${type}.embeddings.word_embeddings.weight`)[w * 8 + i]!, w / 10), 4);
      }
    }
  });

  it("give the last hidden states when there is none, and no loss", async () => {
    const model = await random({}, "none");
    scope(() => {
      const batch = batchOf([[3, 4]]);
      const result = model.forward(batch, { hiddenStates: true });
      expect([...read(result.logits)]).toEqual([...read(result.hiddenStates.at(-1)!)]);
      expect(() => model.loss(result, batch)).toThrow(expect.objectContaining({ code: "model.head" }));
    });
  });

  it("score one label by the squared error", async () => {
    const model = await bertFamily.build({ config: small, head: "sequence-classification", rng: new Rng(2), labels: 1 });
    const batch = batchOf([[3, 4], [5, 6]], { scores: [1, -2] });
    scope(() => {
      const result = model.forward(batch);
      const [a, b] = read(result.logits);
      expect(read(model.loss(result, batch))[0]).toBeCloseTo(((a! - 1) ** 2 + (b! + 2) ** 2) / 2, 5);
    });
  });
});

describe("memory", () => {
  it("leaves only what was asked for, in evaluation and in training", async () => {
    const model = await random();
    const batch = batchOf([[3, 4, 5]], { labels: [1] });
    const before = ops.memory();
    scope(() => {
      model.forward(batch);
      expect(ops.memory().tensors - before.tensors).toBe(1);
    });
    for (let i = 0; i < 2; i++) {
      scope(() => void ops.valueAndGradients(() => model.loss(model.forward(batch, { activations: true, hiddenStates: true }, trainingContext(new Rng(i))), batch), [...model.parameters().values()]));
      expect(ops.memory()).toEqual(before);
    }
    model.dispose();
    expect(ops.memory().tensors).toBe(before.tensors - 41);
  });
});

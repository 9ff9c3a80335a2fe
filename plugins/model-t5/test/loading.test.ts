import { join } from "node:path";
import { batchTensors, Kernel, MODEL_FAMILY, ops, trainingContext, type HeadKind, type Model, type NamedArray } from "@deft-js/core";
import { readFixtureBatch } from "@deft-js/testkit";
import { describe, expect, it } from "vitest";
import plugin, { t5Family } from "../src/index.ts";
import { FIXTURES, goldenModel, goldenTensors } from "./goldens.ts";

const host = readFixtureBatch(join(FIXTURES, "t5-relu"));
const logits = (model: Model, seed?: number): number[] => ops.scope(() => [...ops.read(model.forward(batchTensors(host), {}, seed === undefined ? undefined : trainingContext(new ops.Rng(seed))).logits)]);

describe("loading", () => {
  it("takes the embeddings' other names, and passes over what is never read", async () => {
    const tensors = goldenTensors("t5-relu");
    const expected = logits(await goldenModel("t5-relu"));
    const shared = tensors.find((t) => t.name === "shared.weight")!;
    const others = ["encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"].map((name): NamedArray => ({ ...shared, name }));
    const old: NamedArray = { name: "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight", shape: [12, 4], values: new Float32Array(48) };
    expect(logits(await goldenModel("t5-relu", { tensors: [...tensors, ...others, old] }))).toEqual(expected);
    expect(logits(await goldenModel("t5-relu", { tensors: [...tensors.filter((t) => t !== shared), others[0]!] }))).toEqual(expected);
  });

  it("needs the head of an untied model, and only with the head language-model", async () => {
    const headless = goldenTensors("flan-t5-gated").filter((t) => t.name !== "lm_head.weight");
    await expect(goldenModel("flan-t5-gated", { tensors: headless })).rejects.toMatchObject({ code: "checkpoint.missing" });
    const [without, withHead] = [await goldenModel("flan-t5-gated", { tensors: headless, head: "none" }), await goldenModel("flan-t5-gated", { head: "none" })];
    expect(logits(without)).toEqual(logits(withHead));
    expect(without.config["architectures"]).toEqual(["T5Model"]);
  });

  it.each(["t5-relu", "flan-t5-gated"])("writes %s as it was read, bit for bit", async (name) => {
    const written = new Map([...(await goldenModel(name)).exportParameters()].map((t) => [t.name, t]));
    expect([...written.keys()].sort()).toEqual(goldenTensors(name).map((t) => t.name).sort());
    for (const t of goldenTensors(name)) expect(written.get(t.name)).toEqual(t);
  });

  it("freezes what it reads and draws what it does not, by transformers' deviations", async () => {
    const read = await goldenModel("t5-relu");
    expect([...read.parameters().values()].some((v) => v.trainable)).toBe(false);
    const config = { model_type: "t5", vocab_size: 64, d_model: 32, d_kv: 8, d_ff: 128, num_layers: 1, num_heads: 6, feed_forward_proj: "gated-gelu", tie_word_embeddings: false };
    const model = await t5Family.build({ config, head: "language-model", rng: new ops.Rng(5) });
    const deviation = (name: string): number => {
      const values = model.parameters().get(`${name}.weight`)!.data();
      return Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
    };
    const a = "encoder.block.0.layer.0.SelfAttention";
    const expected: Record<string, number> = { shared: 1, lm_head: 1, [`${a}.q`]: (32 * 8) ** -0.5, [`${a}.k`]: 32 ** -0.5, [`${a}.o`]: 48 ** -0.5, "decoder.block.0.layer.2.DenseReluDense.wi_1": 32 ** -0.5, "decoder.block.0.layer.2.DenseReluDense.wo": 128 ** -0.5, "decoder.final_layer_norm": 1 };
    for (const [name, share] of Object.entries(expected)) expect(Math.abs(deviation(name) / share - 1), name).toBeLessThan(0.12);
    expect([...model.parameters().values()].every((v) => v.trainable)).toBe(true);
  });
});

describe("labels", () => {
  it("must be there, one row for each example", async () => {
    const model = await goldenModel("t5-relu");
    for (const labels of [undefined, Int32Array.of(1, 2, 3)]) expect(() => ops.scope(() => model.forward(batchTensors({ ...host, labels, labelSeq: undefined })))).toThrow(expect.objectContaining({ code: "model.labels" }));
  });

  it("mark the decoder's real positions for the taps", async () => {
    const model = await goldenModel("t5-relu");
    ops.scope(() => {
      for (const { stack, mask } of model.forward(batchTensors(host), { activations: true }).activations)
        expect([...ops.read(mask)]).toEqual([...(stack === "encoder" ? host.attentionMask : host.labels!.map((label) => (label === -100 ? 0 : 1)))]);
    });
  });
});

describe("gated MLPs", () => {
  it("tap the gate, and the product beside it", async () => {
    const model = await goldenModel("flan-t5-gated");
    const site = model.sites("linear", /encoder\.block\.0\..*wi_1$/)[0]!;
    let factor: Float32Array | undefined;
    site.wrap((x, base) => {
      const y = base(x);
      factor = ops.read(y);
      return y;
    });
    ops.scope(() => {
      const [tap] = model.forward(batchTensors(host), { activations: true }).activations;
      const [gate, product] = [ops.read(tap!.value), ops.read(tap!.product!)];
      for (const i of [0, 100, 1000, 2000]) expect(product[i]).toBeCloseTo(gate[i]! * factor![i]!, 5);
    });
    const plain = await goldenModel("t5-relu");
    ops.scope(() => {
      expect(plain.forward(batchTensors(host), { activations: true }).activations.some(({ product }) => product !== undefined)).toBe(false);
    });
  });
});

describe("dropout", () => {
  it.each([
    // embedding, after self-attention's probabilities, its output, the activation, the MLP's output, final norm; cross-attention twice more
    ["t5-relu", 2 * (2 + 2 * 4) + 2 * 2],
    ["flan-t5-gated", 2 * 2 + 3 * 4 + 2 * 6],
  ])("draws in %s where the reference does: %i seeds", async (name, seeds) => {
    const model = await goldenModel(name);
    let drawn = 0;
    ops.scope(() => void model.forward(batchTensors(host), {}, { training: true, nextSeed: () => drawn++ }));
    expect(drawn).toBe(seeds);
    expect(logits(model, 1)).toEqual(logits(model, 1));
    expect(logits(model, 1)).not.toEqual(logits(model, 2));
  });
});

describe("config.json", () => {
  it.each([
    [{ feed_forward_proj: "mish" }, "feed_forward_proj"],
    [{ is_encoder_decoder: false }, "encoder-decoders"],
    [{ d_model: 2 ** 40 }, "d_model"],
    [{ num_layers: 0 }, "num_layers"],
    [{ d_kv: undefined }, "d_kv"],
    [{ pad_token_id: 128 }, "pad_token_id"],
    [{ relative_attention_num_buckets: 3 }, "buckets"],
    [{ model_type: "mt5" }, "model_type"],
  ])("refuses %j", async (config, word) => {
    await expect(goldenModel("t5-relu", { config })).rejects.toMatchObject({ code: "model.config", message: expect.stringContaining(word) });
  });

  it("names the end token of transformers' T5Config where it names none", async () => {
    const ends = async (config: Record<string, unknown>) => (await goldenModel("t5-relu", { config })).config["eos_token_id"];
    expect([await ends({ eos_token_id: undefined }), await ends({ eos_token_id: 7 }), await ends({ eos_token_id: null })]).toEqual([1, 7, null]);
  });

  it.each(["sequence-classification", "masked-language-model"] as HeadKind[])("refuses the head %s", async (head) => {
    await expect(goldenModel("t5-relu", { head })).rejects.toMatchObject({ code: "model.head" });
  });
});

describe("plugin", () => {
  it("brings the family to the kernel", () => {
    expect(new Kernel().use(plugin).create(MODEL_FAMILY, "t5")).toBe(t5Family);
  });
});

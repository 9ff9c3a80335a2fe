import { existsSync } from "node:fs";
import { join } from "node:path";
import { DenseWeight, Kernel, MODEL_FAMILY, ops, type HeadKind, type ModelConfig, type NamedArray } from "@deft-js/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import plugin, { bertFamily } from "../src/index.ts";
import { FIXTURES, goldenBatch, memorySource, readJson, readSafetensors } from "./goldens.ts";

const folderOf = (name: string) => join(FIXTURES, name);
const tensorsOf = (name: string): NamedArray[] => [...readSafetensors(join(folderOf(name), "model.safetensors")).values()];
const configOf = (name: string): ModelConfig => readJson(join(folderOf(name), "config.json"));
const build = (name: string, tensors: readonly NamedArray[] | undefined, more: { head?: HeadKind; labels?: number; config?: ModelConfig; headName?: string } = {}) =>
  bertFamily.build({ config: configOf(name), head: "sequence-classification", source: tensors && memorySource(tensors), rng: new ops.Rng(7), ...more });

const logitsOf = async (name: string, tensors: readonly NamedArray[]): Promise<number[]> => {
  const model = await build(name, tensors);
  const logits = ops.scope(() => [...ops.read(model.forward(goldenBatch(folderOf(name))).logits)]);
  model.dispose();
  return logits;
};

const vector = (name: string, n: number): NamedArray => ({ name, shape: [n], values: new Float32Array(n) });

describe("loading", () => {
  it.each(["bert-seqcls", "roberta-seqcls"])("takes %s without its prefix, and with gamma and beta, as the same model", async (name) => {
    const tensors = tensorsOf(name);
    const bare = tensors.map((t) => ({ ...t, name: t.name.replace(/^(bert|roberta)\./, "") }));
    const old = tensors.map((t) => ({ ...t, name: t.name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta") }));
    const expected = await logitsOf(name, tensors);
    expect(await logitsOf(name, bare)).toEqual(expected);
    expect(await logitsOf(name, old)).toEqual(expected);
  });

  it.each(["bert-seqcls", "roberta-seqcls"])("writes %s as it was read, bit for bit", async (name) => {
    const model = await build(name, tensorsOf(name));
    const written = new Map([...model.exportParameters()].map((t) => [t.name, t]));
    expect([...written.keys()].sort()).toEqual(tensorsOf(name).map((t) => t.name).sort());
    for (const t of tensorsOf(name)) expect(written.get(t.name)).toEqual(t);
  });

  it("passes over buffers and pretraining heads, by name only", async () => {
    const extra = ["bert.embeddings.position_ids", "cls.predictions.bias", "cls.predictions.decoder.weight", "cls.predictions.transform.LayerNorm.gamma", "cls.seq_relationship.weight"].map((n) => vector(n, 2));
    expect(await logitsOf("bert-seqcls", [...tensorsOf("bert-seqcls"), ...extra])).toEqual(await logitsOf("bert-seqcls", tensorsOf("bert-seqcls")));
    for (const name of ["cls.predictions.other", "bert.encoder.layer.3.output.dense.bias", "lm_head.bias"])
      await expect(build("bert-seqcls", [...tensorsOf("bert-seqcls"), vector(name, 2)])).rejects.toMatchObject({ code: "checkpoint.unexpected", message: expect.stringContaining(name) });
    await expect(build("roberta-seqcls", [...tensorsOf("roberta-seqcls"), vector("cls.predictions.bias", 2)])).rejects.toMatchObject({ code: "checkpoint.unexpected" });
  });

  it.each(["bert-seqcls", "roberta-seqcls"] as const)("passes over any head where none is asked for: %s", async (name) => {
    const family = name.split("-")[0]!;
    const heads = ["classifier.weight", "classifier.dense.bias", "heads.my-task.4.weight", "qa_outputs.bias"].filter((head) => !tensorsOf(name).some((t) => t.name === head)).map((n) => vector(n, 2));
    const model = await bertFamily.build({ config: configOf(name), head: "none", source: memorySource([...tensorsOf(name), ...heads]), rng: new ops.Rng(7) });
    expect([...model.parameters().keys()].every((path) => path.startsWith(`${family}.e`))).toBe(true);
    const stranger = vector("classifier.other.weight", 2);
    await expect(bertFamily.build({ config: configOf(name), head: "none", source: memorySource([...tensorsOf(name), stranger]), rng: new ops.Rng(7) })).rejects.toMatchObject({ code: "checkpoint.unexpected" });
  });

  it("names whatever encoder parameter is missing or misshapen", async () => {
    const tensors = tensorsOf("bert-seqcls");
    const encoder = tensors.filter((t) => !/pooler|classifier/.test(t.name));
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...encoder), fc.boolean(), async (victim, misshapen) => {
        const changed = misshapen ? tensors.map((t) => (t === victim ? { ...t, shape: [...t.shape].reverse().concat(1) } : t)) : tensors.filter((t) => t !== victim);
        const code = misshapen ? "checkpoint.shape" : "checkpoint.missing";
        await expect(build("bert-seqcls", changed)).rejects.toMatchObject({ code, message: expect.stringContaining(victim.name) });
      }),
      { numRuns: 20 },
    );
  });

  it("refuses a classifier of another number of labels", async () => {
    await expect(build("bert-seqcls", tensorsOf("bert-seqcls"), { labels: 2 })).rejects.toMatchObject({ code: "checkpoint.shape" });
  });

  it("freezes the base and leaves the head trainable", async () => {
    const model = await build("bert-seqcls", tensorsOf("bert-seqcls"));
    expect(model.headParameters().map((v) => v.path)).toEqual(["classifier.weight", "classifier.bias"]);
    expect([...model.parameters().values()].filter((v) => v.trainable)).toEqual(model.headParameters());
  });
});

describe("new heads", () => {
  const encoder = (name: string) => tensorsOf(name).filter((t) => !t.name.startsWith("classifier."));

  it.each([
    ["bert-seqcls", "sequence-classification", ["classifier.weight", "classifier.bias"]],
    ["roberta-seqcls", "sequence-classification", ["classifier.dense.weight", "classifier.dense.bias", "classifier.out_proj.weight", "classifier.out_proj.bias"]],
    ["bert-seqcls", "tanh-classification", ["heads.mine.1.weight", "heads.mine.1.bias", "heads.mine.4.weight", "heads.mine.4.bias"]],
    ["roberta-seqcls", "tanh-classification", ["heads.mine.1.weight", "heads.mine.1.bias", "heads.mine.4.weight", "heads.mine.4.bias"]],
  ] as const)("initialises %s's %s by the config's range and with zero bias", async (name, head, names) => {
    const model = await build(name, encoder(name), { head, labels: 5, headName: "mine" });
    expect(model.headParameters().map((v) => v.path)).toEqual(names);
    expect(model.headParameters().at(-2)!.shape).toEqual([32, 5]);
    for (const v of model.headParameters()) {
      const values = v.data();
      const deviation = Math.sqrt(values.reduce((s, x) => s + x * x, 0) / values.length);
      if (v.path.endsWith("bias")) expect(deviation).toBe(0);
      else expect(Math.abs(deviation / 0.02 - 1)).toBeLessThan(0.25);
    }
    expect(Object.keys(model.config["id2label"] as object)).toHaveLength(5);
  });

  it("counts BERT's pooler as part of the head when the source lacks it", async () => {
    const model = await build("bert-seqcls", encoder("bert-seqcls").filter((t) => !t.name.includes("pooler")));
    expect(model.headParameters().map((v) => v.path)).toEqual(["bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight", "classifier.bias"]);
  });

  it("names the head's parameters as they are, also after a merge put another in one's place", async () => {
    const model = await build("bert-seqcls", encoder("bert-seqcls").filter((t) => !t.name.includes("pooler")));
    const { weight } = model.sites("linear", /pooler/)[0]!;
    model.replaceWeight("bert.pooler.dense", new DenseWeight(ops.Variable.from("bert.pooler.dense.weight", new Float32Array(32 * 32), [...weight!.shape])));
    expect(model.headParameters()[0]).toBe(model.parameters().get("bert.pooler.dense.weight"));
    expect([...model.headParameters()[0]!.data()].every((value) => value === 0)).toBe(true);
  });

  it("is the same for the same seed", async () => {
    const draw = async () => [...(await build("bert-seqcls", encoder("bert-seqcls"))).headParameters()[0]!.data()];
    expect(await draw()).toEqual(await draw());
  });

  it("does not invent a masked-language-model head", async () => {
    await expect(build("bert-seqcls", encoder("bert-seqcls"), { head: "masked-language-model" })).rejects.toMatchObject({ code: "checkpoint.missing" });
    await expect(build("bert-seqcls", encoder("bert-seqcls"), { head: "language-model" })).rejects.toMatchObject({ code: "model.head" });
  });
});

describe("initialisation without a source", () => {
  it.each(["bert-seqcls", "roberta-seqcls"])("draws %s by the config's range, with zero padding rows, all trainable", async (name) => {
    const model = await build(name, undefined, { head: "masked-language-model" });
    const type = name.split("-")[0]!;
    const pad = type === "bert" ? 0 : 1;
    const rows = (n: string) => model.parameters().get(`${type}.embeddings.${n}.weight`)!.data();
    const word = rows("word_embeddings");
    expect([...word.subarray(pad * 32, pad * 32 + 32)].every((v) => v === 0)).toBe(true);
    expect([...rows("position_embeddings").subarray(pad * 32, pad * 32 + 32)].every((v) => v === 0)).toBe(type === "roberta");
    expect(Math.abs(Math.sqrt(word.reduce((s, x) => s + x * x, 0) / word.length) / 0.02 - 1)).toBeLessThan(0.1);
    expect([...model.parameters().get(`${type}.encoder.layer.0.output.LayerNorm.weight`)!.data()].every((v) => v === 1)).toBe(true);
    expect([...model.parameters().values()].every((v) => v.trainable)).toBe(true);
    expect(model.headParameters()).toEqual([]);
    expect(model.config["architectures"]).toEqual([type === "bert" ? "BertForMaskedLM" : "RobertaForMaskedLM"]);
  });
});

describe("config.json", () => {
  it.each([
    [{ position_embedding_type: "relative_key" }, "absolute"],
    [{ hidden_act: "mish" }, "hidden_act"],
    [{ is_decoder: true }, "encoders"],
    [{ tie_word_embeddings: false }, "tied"],
    [{ hidden_size: 33 }, "multiple"],
    [{ hidden_size: 2 ** 40 }, "hidden_size"],
    [{ num_hidden_layers: -1 }, "num_hidden_layers"],
    [{ vocab_size: "120" }, "vocab_size"],
    [{ model_type: "gpt2" }, "model_type"],
    [{ hidden_dropout_prob: 1 }, "hidden_dropout_prob"],
    [{ pad_token_id: 120 }, "pad_token_id"],
    [{ intermediate_size: undefined }, "intermediate_size"],
  ])("refuses %j", async (change, word) => {
    await expect(build("bert-seqcls", tensorsOf("bert-seqcls"), { config: { ...configOf("bert-seqcls"), ...change } })).rejects.toMatchObject({ code: "model.config", message: expect.stringContaining(word) });
  });

  it("refuses a number of labels that is none", async () => {
    for (const labels of [0, 1.5, Number.NaN]) await expect(build("bert-seqcls", undefined, { labels })).rejects.toMatchObject({ code: "model.config" });
  });

  it.each(["gelu", "gelu_new", "relu", "silu", "swish"])("knows the activation %s", async (hidden_act) => {
    const model = await build("bert-seqcls", tensorsOf("bert-seqcls"), { config: { ...configOf("bert-seqcls"), hidden_act } });
    ops.scope(() => {
      const fused = [...ops.read(model.forward(goldenBatch(folderOf("bert-seqcls"))).logits)];
      for (const site of model.sites("activation"))
        site.wrap((x) => ops.activation(x, hidden_act === "swish" ? "silu" : (hidden_act as ops.ActivationKind)));
      const bySite = ops.read(model.forward(goldenBatch(folderOf("bert-seqcls"))).logits);
      for (const [i, v] of fused.entries()) expect(bySite[i]).toBeCloseTo(v, 6);
    });
  });
});

describe("plugin", () => {
  it("brings the family to the kernel", () => {
    const family = new Kernel().use(plugin).create(MODEL_FAMILY, "bert");
    expect(family).toBe(bertFamily);
    expect(family.modelTypes).toEqual(["bert", "roberta"]);
  });
});

const shared = join(import.meta.dirname, "../../../../shared/checkpoints/bert-mini");

describe.skipIf(!existsSync(shared))("bert-mini (skipped where ../shared is absent)", () => {
  it.each(["masked-language-model", "sequence-classification", "tanh-classification", "none"] as const)("loads with the head %s", async (head) => {
    const model = await bertFamily.build({ config: readJson(join(shared, "config.json")), head, source: memorySource(readSafetensors(join(shared, "model.safetensors")).values()), rng: new ops.Rng(1) });
    expect(model.parameters().get("bert.embeddings.word_embeddings.weight")!.shape).toEqual([30522, 128]);
    model.dispose();
  });
});

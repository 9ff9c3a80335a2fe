import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { batchTensors, type Artifact, type Kernel, type PeftMethod } from "@deft-js/core";
import { readSafetensors, writeSafetensors } from "@deft-js/checkpoint";
import t5 from "@deft-js/plugin-model-t5";
import bitfitPlugin, { bitfit } from "@deft-js/plugin-peft-bitfit";
import doraPlugin, { dora } from "@deft-js/plugin-peft-dora";
import ia3Plugin, { ia3 } from "@deft-js/plugin-peft-ia3";
import { lora } from "@deft-js/plugin-peft-lora";
import pruning, { prune } from "@deft-js/plugin-pruning";
import quantization, { quantize } from "@deft-js/plugin-quantization";
import { createKernel, initModel, load, loadModel, predictTexts, readAdapters, saveAdapters, saveModel, stage, type SaveAdapterOptions } from "@deft-js/run";
import { read, Rng, scope, type Variable } from "@deft-js/tensor";
import { lastValueFrom } from "rxjs";
import { beforeAll, describe, expect, it } from "vitest";
import { tempFolder, TINY_CONFIG, writeTinyModel, writeTokenizer } from "./support/tiny.ts";
import { makeWorld, PLUGINS } from "./support/world.ts";

const host = { size: 2, seq: 3, inputIds: Int32Array.of(2, 6, 3, 2, 9, 3), attentionMask: Float32Array.of(1, 1, 1, 1, 1, 1) };
let kernel: Kernel;
/** BERT without a pooler and with one. */
let bare: string;
let whole: string;

beforeAll(async () => {
  kernel = await createKernel({ plugins: [...PLUGINS, t5, bitfitPlugin, doraPlugin, ia3Plugin, pruning, quantization], discover: false });
  bare = await writeTinyModel(join(tempFolder(), "bare"), kernel);
  whole = await writeTinyModel(join(tempFolder(), "whole"), kernel, "sequence-classification");
});

const logits = ({ model }: Artifact): number[] => scope(() => [...read(model.forward(batchTensors(host)).logits)]);
const noise = (variables: readonly Variable[]): void => variables.forEach((variable, i) => variable.load(variable.data().map((value, j) => value + 0.3 * Math.sin(1 + 7 * i + j))));

/** A model with methods attached as if they had been trained. */
async function trained(base: string, methods: readonly PeftMethod[], labels = 2): Promise<Artifact> {
  const artifact = await loadModel(base, { kernel, head: "sequence-classification", labels });
  const attachments = methods.map((method, i) => method.attach(artifact.model, new Rng(i)));
  noise([...attachments.flatMap(({ variables }) => variables), ...artifact.model.headParameters()]);
  return { ...artifact, attachments };
}

async function saved(artifact: Artifact, options: SaveAdapterOptions = {}): Promise<string> {
  const folder = join(tempFolder(), "adapter");
  await saveAdapters(folder, artifact, options);
  return folder;
}

/** The adapter's logits after loading, with deft.json and without. */
async function reloaded(base: string, folder: string): Promise<readonly number[][]> {
  const withRecord = logits(await loadModel(base, { kernel, adapter: folder, seed: 1 }));
  if (!existsSync(join(folder, "adapter_config.json"))) return [withRecord];
  rmSync(join(folder, "deft.json"));
  return [withRecord, logits(await loadModel(base, { kernel, adapter: folder, seed: 1 }))];
}

async function change(folder: string, edit: (tensors: Map<string, { name: string; shape: readonly number[]; values: Float32Array }>) => void, file = "adapter_model.safetensors"): Promise<void> {
  const tensors = new Map((await readSafetensors(join(folder, file))).tensors);
  edit(tensors);
  await writeSafetensors(join(folder, file), tensors.values());
}

describe("what belongs to the head", () => {
  const target = "(query|value|pooler\\.dense)$";
  const cases = [lora({ rank: 2, target }), dora({ rank: 2, target }), ia3({ target, feedforward: "^(?!)" })].flatMap((method) => (["peft", "deft"] as const).flatMap((layout) => ["bare", "whole"].map((base) => [method.id, layout, base, method] as const)));

  it.each(cases)("%s at the pooler comes back in layout %s over a base that is %s", async (_, layout, name, method) => {
    const base = name === "bare" ? bare : whole;
    const artifact = await trained(base, [method]);
    const again = await reloaded(base, await saved(artifact, { layout }));
    for (const found of again) expect(found).toEqual(logits(artifact));
    expect(again).toHaveLength(layout === "peft" ? 2 : 1);
  });

  it("DoRA's magnitudes may be called .weight, as PEFT does in memory", async () => {
    const artifact = await trained(bare, [dora({ rank: 2, target })]);
    const folder = await saved(artifact);
    await change(folder, (tensors) => {
      for (const [key, array] of [...tensors].filter(([name]) => name.endsWith(".lora_magnitude_vector"))) {
        tensors.delete(key);
        tensors.set(`${key}.weight`, { ...array, name: `${key}.weight` });
      }
    });
    for (const found of await reloaded(bare, folder)) expect(found).toEqual(logits(artifact));
  });

  it.each(["peft", "deft"] as const)("a regression's single output comes back in layout %s", async (layout) => {
    const artifact = await trained(bare, [layout === "deft" ? bitfit() : lora({ rank: 2 })], 1);
    for (const found of await reloaded(bare, await saved(artifact, { layout }))) expect(found).toEqual(logits(artifact));
  });

  it.each(["peft", "adapterhub", "deft"] as const)("a head of two layers may have more labels than hidden units, in layout %s", async (layout) => {
    const base = join(tempFolder(), "roberta");
    const made = await initModel({ kernel, config: { ...TINY_CONFIG, model_type: "roberta", type_vocab_size: 1 }, tokenizer: writeTokenizer(base), seed: 7 });
    await saveModel(base, { ...made, source: undefined });
    writeTokenizer(base);
    const artifact = await trained(base, [lora({ rank: 2 })], 20);
    const folder = await saved(artifact, { layout });
    if (layout === "adapterhub") writeFileSync(join(folder, "head_config.json"), JSON.stringify({ ...(JSON.parse(readFileSync(join(folder, "head_config.json"), "utf8")) as object), num_labels: undefined }));
    expect((await readAdapters(folder, kernel))[0]?.labels).toBe(20);
    for (const found of await reloaded(base, folder)) expect(found).toEqual(logits(artifact));
  });
});

describe("several adapters in one folder", () => {
  const ids = async (folder: string): Promise<(string | undefined)[]> => (await readAdapters(folder, kernel)).map(({ method }) => method?.id);

  it("replace several from before, and are refused where something else lies", async () => {
    const both = await trained(bare, [ia3(), bitfit()]);
    const folder = await saved(both);
    const { attachments } = both;
    await saveAdapters(folder, { ...both, attachments: [...attachments, ...attachments.slice(0, 1)] });
    expect(await ids(folder)).toEqual(["ia3", "bitfit", "ia3"]);
    await saveAdapters(folder, { ...both, attachments: attachments.toReversed() });
    expect(readdirSync(folder)).toEqual(["0-bitfit", "1-ia3"]);
    expect(await ids(folder)).toEqual(["bitfit", "ia3"]);
    writeFileSync(join(folder, "0-bitfit", "notes.txt"), "");
    await expect(saveAdapters(folder, both)).rejects.toMatchObject({ code: "checkpoint.occupied", message: expect.stringContaining("got 0-bitfit/notes.txt.") as string });
    rmSync(join(folder, "0-bitfit", "notes.txt"));
    writeFileSync(join(folder, "2-do"), "");
    await expect(saveAdapters(folder, both)).rejects.toMatchObject({ code: "checkpoint.occupied", message: expect.stringContaining("got 2-do.") as string });
    const single = await saved(await trained(bare, [lora({ rank: 2 })]));
    await expect(saveAdapters(single, both)).rejects.toMatchObject({ code: "checkpoint.occupied" });
    expect(await ids(single)).toEqual(["lora"]);
  });

  it("are read in the order of their numbers", async () => {
    const { attachments, ...rest } = await trained(bare, [ia3(), bitfit()]);
    const folder = await saved({ ...rest, attachments: Array.from({ length: 11 }, (_, i) => attachments[i === 10 ? 1 : 0]!) });
    expect((await ids(folder)).indexOf("bitfit")).toBe(10);
  });
});

describe("what an adapter may not hold", () => {
  it.each(["base_model.model.bert.embeddings.word_embeddings.weight", "base_model.model.lm_head.weight", "base_model.model.classifier.original_module.weight"])("%s, a tensor of another module", async (name) => {
    const folder = await saved(await trained(bare, [lora({ rank: 2 })]));
    await change(folder, (tensors) => tensors.set(name, { name, shape: [1], values: Float32Array.of(1) }));
    await expect(loadModel(bare, { kernel, adapter: folder })).rejects.toMatchObject({ code: "checkpoint.unexpected", message: expect.stringContaining(`got ${name}. Merge`) as string });
  });

  it("a stranger beside an AdapterHub head; T5's tied table is passed over", async () => {
    const artifact = await trained(bare, [lora({ rank: 2 })]);
    const folder = await saved(artifact, { layout: "adapterhub" });
    const add = (name: string): Promise<void> => change(folder, (tensors) => tensors.set(name, { name, shape: [1], values: Float32Array.of(1) }), "model_head.safetensors");
    await add("lm_head.weight");
    expect(logits(await loadModel(bare, { kernel, adapter: folder }))).toEqual(logits(artifact));
    await add("cls.predictions.bias");
    await expect(loadModel(bare, { kernel, adapter: folder })).rejects.toMatchObject({ code: "checkpoint.unexpected" });
  });

  it("another output table than an untied T5's", async () => {
    const base = join(tempFolder(), "t5");
    const config = { model_type: "t5", d_model: 16, d_kv: 8, d_ff: 32, num_layers: 1, num_heads: 2, feed_forward_proj: "gated-gelu", relative_attention_num_buckets: 8, pad_token_id: 0, decoder_start_token_id: 0, tie_word_embeddings: false };
    const made = await initModel({ kernel, config, tokenizer: writeTokenizer(base), head: "language-model" });
    await saveModel(base, { ...made, source: undefined });
    writeTokenizer(base);
    const artifact = await loadModel(base, { kernel });
    const folder = await saved({ ...artifact, attachments: [lora({ rank: 2 }).attach(artifact.model, new Rng(1))] }, { layout: "adapterhub" });
    writeFileSync(join(folder, "head_config.json"), "{}");
    const table = artifact.model.parameters().get("lm_head.weight")!;
    const write = (factor: number): Promise<void> => writeSafetensors(join(folder, "model_head.safetensors"), [{ name: "lm_head.weight", shape: table.shape, values: table.data().map((value) => value * factor) }]);
    await write(1);
    expect((await loadModel(base, { kernel, adapter: folder })).attachments).toHaveLength(1);
    await write(1.1);
    await expect(loadModel(base, { kernel, adapter: folder })).rejects.toMatchObject({ code: "checkpoint.unexpected", message: expect.stringContaining("lm_head.weight must be the base's own") as string });
  });

  it.each(["lora_A.weight", "classifier.weight"])("NaN in %s", async (end) => {
    const folder = await saved(await trained(bare, [lora({ rank: 2 })]));
    await change(folder, (tensors) => [...tensors.values()].find(({ name }) => name.endsWith(end))!.values.fill(NaN));
    await expect(loadModel(bare, { kernel, adapter: folder })).rejects.toMatchObject({ code: "checkpoint.nonfinite", message: expect.stringContaining(end) as string });
  });

  it("NaN in a state of this toolkit's", async () => {
    const folder = await saved(await trained(bare, [bitfit()]));
    await change(folder, (tensors) => [...tensors.values()][0]!.values.fill(NaN), "adapter_deft.safetensors");
    await expect(readAdapters(folder, kernel)).rejects.toMatchObject({ code: "checkpoint.nonfinite" });
  });
});

describe("an adapter over a base that was changed before training", () => {
  const pruned = { prune: { magnitude: { sparsity: 0.5 } } };

  it.each([["pruned", [pruned], ["masked"]], ["pruned and quantized", [pruned, { quantize: { format: "nf4" } }], ["masked"]], ["quantized in two formats", [{ quantize: { format: "nf4", keep: "output" } }, { quantize: { format: "int8", keep: "query|key|value|attention" } }], ["nf4", "int8"]]] as const)("%s: is not loaded over the base as it was", async (_, before, formats) => {
    const world = await makeWorld();
    world.content["stages"] = [...before, ...(world.content["stages"] as unknown[])];
    await world.run({ plugins: [...PLUGINS, pruning, quantization] });
    const { formats: told, weights } = world.json("out", "adapter", "deft.json") as { formats?: { id: string }[]; weights?: unknown };
    expect(weights).toBeUndefined();
    for (const format of formats) expect(told?.map(({ id }) => id)).toContain(format);
    const refused = { code: "checkpoint.weights", message: expect.stringMatching(/got dense\. Export the merged model/) as string };
    await expect(predictTexts({ kernel, checkpoint: world.path("out"), texts: [{ text: "the film was good" }], backend: "cpu" }).next()).rejects.toMatchObject(refused);
    await expect(loadModel(world.path("tiny"), { kernel, adapter: world.path("out", "adapter"), weights: "dense" })).rejects.toMatchObject(refused);
  });

  it("is attached to a model that has been changed in the same way", async () => {
    const changed = (): Promise<Artifact> => lastValueFrom(load(bare, { kernel, backend: "cpu", head: "sequence-classification", labels: 2 }).pipe(stage(prune(pruned.prune)), stage(quantize({ format: "nf4" }))));
    const artifact = await changed();
    const attachment = lora({ rank: 2 }).attach(artifact.model, new Rng(1));
    noise(attachment.variables);
    const [adapter] = await readAdapters(await saved({ ...artifact, attachments: [attachment] }), kernel);
    const other = await changed();
    adapter!.attach(other.model, new Rng(2));
    expect(logits(other)).toEqual(logits(artifact));
  });

  it("merges into a model folder that needs nothing of the sort", async () => {
    const world = await makeWorld();
    world.content["stages"] = [pruned, (world.content["stages"] as unknown[])[0], { export: { path: "merged", layout: "model", base: "dense" } }];
    await world.run({ plugins: [...PLUGINS, pruning] });
    const { value } = await predictTexts({ kernel, checkpoint: world.path("merged"), texts: [{ text: "the film was good" }], backend: "cpu" }).next();
    expect(value).toHaveProperty("label");
  });
});

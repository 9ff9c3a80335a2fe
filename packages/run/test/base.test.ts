import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Artifact, PeftMethod } from "@deft-js/core";
import opt from "@deft-js/plugin-model-opt";
import bitfitPlugin, { bitfit } from "@deft-js/plugin-peft-bitfit";
import ia3Plugin, { ia3 } from "@deft-js/plugin-peft-ia3";
import { lora } from "@deft-js/plugin-peft-lora";
import pruning from "@deft-js/plugin-pruning";
import quantization, { int8 } from "@deft-js/plugin-quantization";
import { createKernel, load, loadModel, measureDensity, predictTexts, pretrain, saveAdapters, saveModel, type LoadModelOptions, type Prediction } from "@deft-js/run";
import { Rng, type Variable } from "@deft-js/tensor";
import { lastValueFrom, map } from "rxjs";
import { beforeEach, describe, expect, it } from "vitest";
import { exportArtifact } from "../src/stages/export.ts";
import { compareFingerprint, fingerprint } from "../src/model/fingerprint.ts";
import { sentences, tempFolder, writeTinyModel, writeTokenizer } from "./support/tiny.ts";
import { makeWorld, PLUGINS, type World } from "./support/world.ts";

const plugins = [...PLUGINS, opt, bitfitPlugin, ia3Plugin, pruning, quantization];
const kernel = await createKernel({ plugins, discover: false });
const noise = (variables: readonly Variable[]): void => variables.forEach((variable, i) => variable.load(variable.data().map((value, j) => value + 0.3 * Math.sin(1 + 7 * i + j))));

let base: string;
beforeEach(async () => {
  base = await writeTinyModel(join(tempFolder(), "base"), kernel, "sequence-classification");
});

const open = (path: string, more: Partial<LoadModelOptions> = {}): Promise<Artifact> => loadModel(path, { kernel, head: "sequence-classification", labels: 2, ...more });

async function tuned(path: string, methods: readonly PeftMethod[], more: Partial<LoadModelOptions> = {}): Promise<Artifact> {
  const artifact = await open(path, more);
  const attachments = methods.map((method, i) => method.attach(artifact.model, new Rng(i)));
  noise([...attachments.flatMap(({ variables }) => variables), ...artifact.model.headParameters()]);
  return { ...artifact, attachments };
}

async function saved(artifact: Artifact): Promise<string> {
  const folder = join(tempFolder(), "adapter");
  await saveAdapters(folder, artifact);
  return folder;
}

/** What loading warns of. */
async function warnings(path: string, adapter: string, more: Partial<LoadModelOptions> = {}): Promise<string[]> {
  const all: string[] = [];
  await loadModel(path, { kernel, adapter, warn: (message) => all.push(message), ...more });
  return all;
}

/** The base with other values, in a folder. */
async function changed(edit: (artifact: Artifact) => void): Promise<string> {
  const folder = join(tempFolder(), "changed");
  const artifact = await open(base);
  edit(artifact);
  await saveModel(folder, artifact);
  return folder;
}

const parameter = ({ model }: Artifact, name: string): Variable => model.parameters().get(name)!;
const LAYER = "bert.encoder.layer.1.output.dense.weight";
/** Rounds to a number of bits behind the point of the significand: 7 of bfloat16, 10 of float16. */
const rounded = (bits: number) => ({ model }: Artifact): void => model.parameters().forEach((variable) => variable.load(variable.data().map((value) => (value === 0 ? 0 : Math.round(value / 2 ** (Math.floor(Math.log2(Math.abs(value))) - bits)) * 2 ** (Math.floor(Math.log2(Math.abs(value))) - bits)))));

describe("the base's fingerprint", () => {
  it.each([["lora", [lora({ rank: 2 })]], ["bitfit, whose biases are the base's own", [bitfit()]], ["ia3 and bitfit", [ia3(), bitfit()]], ["a head alone", []]] as const)("is the same when the adapter comes back: %s", async (_, methods) => {
    const folder = await saved(await tuned(base, methods));
    expect(await warnings(base, folder)).toEqual([]);
    const [first] = methods.length === 2 ? ["0-ia3"] : ["."];
    expect((JSON.parse(readFileSync(join(folder, first!, "deft.json"), "utf8")) as { fingerprint: string }).fingerprint).toMatch(/^[\w+/=]{100,}$/);
  });

  it.each([["bfloat16", 7], ["float16", 10]] as const)("is the same in %s", async (_, bits) => {
    const folder = await saved(await tuned(base, [lora({ rank: 2 })]));
    expect(await warnings(await changed(rounded(bits)), folder)).toEqual([]);
  });

  it("names the parameters that differ", async () => {
    const folder = await saved(await tuned(base, [lora({ rank: 2 })]));
    const other = await changed((artifact) => parameter(artifact, LAYER).load(parameter(artifact, LAYER).data().map((value) => value * 1.02)));
    const [message, ...rest] = await warnings(other, folder);
    expect(rest).toEqual([]);
    expect(message).toMatch(`${folder}: the base should hold the values that the adapter was trained over, got others in 1 of 39 parameters (${LAYER}). Name`);
  });

  it("tells a base into which an adapter was merged, and another one", async () => {
    const first = await tuned(base, [lora({ rank: 2 })]);
    const folder = await saved(first);
    const merged = join(tempFolder(), "merged");
    await exportArtifact(first, merged, { layout: "model" });
    expect((await warnings(merged, folder))[0]).toMatch(/in 4 of 39 parameters \(bert\.encoder\.layer\.0\.attention\.self\.query\.weight, /);
    const other = await changed(({ model }) => noise([...model.parameters().values()]));
    expect((await warnings(other, folder))[0]).toMatch(/in 39 of 39 parameters/);
  });

  it("is of quantized weights as they are held; weights that are asked for in another format warn of nothing", async () => {
    const folder = await saved(await tuned(base, [lora({ rank: 2 })], { weights: int8() }));
    expect(await warnings(base, folder)).toEqual([]);
    expect(await warnings(base, folder, { weights: "dense" })).toEqual([]);
  });

  it("knows a mask from another", async () => {
    const masked = (keep: number): Promise<string> => changed((artifact) => parameter(artifact, LAYER).load(parameter(artifact, LAYER).data().map((value, i) => (i % 2 === keep ? value : 0))));
    const [even, odd] = [await masked(0), await masked(1)];
    const folder = await saved(await tuned(even, [lora({ rank: 2 })]));
    expect([(await warnings(even, folder)).length, (await warnings(odd, folder)).length]).toEqual([0, 1]);
  });

  it("passes over what it does not know, and what is not there", async () => {
    const headless = await writeTinyModel(join(tempFolder(), "headless"), kernel);
    const [masked, none] = [await loadModel(headless, { kernel, head: "masked-language-model" }), await loadModel(headless, { kernel, head: "none" })].map(({ model }) => ({ model, attachments: [] }));
    expect(compareFingerprint(masked!, fingerprint(none!))).toEqual(compareFingerprint(none!, fingerprint(masked!)));
    expect(compareFingerprint(masked!, fingerprint(none!))).toEqual({ differing: [], compared: 37 });
    expect(compareFingerprint(masked!, fingerprint(masked!)).compared).toBeGreaterThan(37);
    expect(compareFingerprint(none!, "")).toEqual({ differing: [], compared: 0 });
  });
});

describe("the base that an adapter names", () => {
  let world: World;
  beforeEach(async () => {
    world = await makeWorld();
  });
  const record = (run: string): { base?: string } => world.json(run, "adapter", "deft.json");
  const predictions = async (request: { checkpoint: string; adapter?: string }): Promise<unknown[]> => {
    const all: unknown[] = [];
    for await (const one of predictTexts({ kernel, texts: sentences(4, 3), backend: "cpu", ...request })) all.push(one);
    return all;
  };

  it("is the merged model, once one was written: a run's folder is that model with the adapter", async () => {
    const [tune, evaluate] = world.content["stages"] as [{ finetune: object }, object];
    world.content["stages"] = [tune, { export: { path: "merged", layout: "model" } }, { finetune: { ...tune.finetune, epochs: 1 } }, evaluate];
    await world.run();
    expect(record("out").base).toBe(world.path("merged"));
    const [merged, adapter] = [world.path("merged"), world.path("out", "adapter")];
    expect(await predictions({ checkpoint: world.path("out") })).toEqual(await predictions({ checkpoint: merged, adapter }));
    expect([await warnings(merged, adapter), (await warnings(world.path("tiny"), adapter)).length]).toEqual([[], 1]);
  });

  it("is the pretrained model in the run's folder, where both are", async () => {
    writeTokenizer(world.path("tok"));
    writeFileSync(world.path("tok", "tokenizer_config.json"), JSON.stringify({ eos_token: "[SEP]" }));
    writeFileSync(world.path("corpus.txt"), sentences(60, 4).map((row) => row.text).join("\n"));
    const config = { model_type: "opt", hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, ffn_dim: 32, max_position_embeddings: 64, word_embed_proj_dim: 16, do_layer_norm_before: true, activation_function: "relu", pad_token_id: 0, bos_token_id: 2, eos_token_id: 3 };
    const task = { text: { train: "data/train.csv", evaluation: "./data/dev.csv", text: "text", label: "label", words: { good: "good", bad: "bad" }, maxLength: 24 } };
    const optimizer = { adamw: { learningRate: 0.01 } };
    world.content = {
      model: { init: config, tokenizer: "tok", head: "language-model" }, backend: "wasm", output: "out",
      stages: [{ pretrain: { text: "corpus.txt", epochs: 1, batchSize: 8, maxLength: 24, optimizer } }, { finetune: { task, peft: { lora: { rank: 4, alpha: 16, target: "proj|fc" } }, epochs: 12, batchSize: 8, optimizer: { adamw: { learningRate: 0.03 } } } }],
    };
    await world.run({ plugins });
    expect(record("out").base).toBe(world.path("out", "model"));
    const [run, model, adapter] = [world.path("out"), world.path("out", "model"), world.path("out", "adapter")];
    expect(await predictions({ checkpoint: run })).toEqual(await predictions({ checkpoint: model, adapter }));
    expect(await predictions({ checkpoint: run })).not.toEqual(await predictions({ checkpoint: model }));
    expect(await warnings(model, adapter)).toEqual([]);
  });

  it("pretraining with something attached is refused before it begins", async () => {
    const begin = load(world.path("tiny"), { kernel, backend: "cpu", head: "masked-language-model" });
    const pretrained = pretrain({ text: world.path("data", "train.csv"), column: "text", epochs: 1, batchSize: 8 });
    const attached = map((artifact: Artifact) => ({ ...artifact, attachments: [lora({ rank: 2 }).attach(artifact.model, new Rng(1))] }));
    expect((await lastValueFrom(begin.pipe(pretrained))).metrics).toHaveProperty("pretrain");
    await expect(lastValueFrom(begin.pipe(attached, pretrained))).rejects.toMatchObject({ code: "pretrain.attached", message: expect.stringContaining("got lora attached.") as string });
  });
});

it("density is measured on a model folder with a head, as without it", async () => {
  const data = join(base, "texts.txt");
  writeFileSync(data, sentences(6, 3).map((row) => row.text).join("\n"));
  const layers = async (checkpoint: string): Promise<unknown> => (await measureDensity({ kernel, checkpoint, data, backend: "cpu" })).layers;
  const headless = join(tempFolder(), "headless");
  await saveModel(headless, await loadModel(base, { kernel, head: "none" }));
  expect(await layers(base)).toEqual(await layers(headless));
});

it("classes keep their names where several adapters lie in a run", async () => {
  const world = await makeWorld();
  const [tune] = world.content["stages"] as [{ finetune: object }];
  world.content["stages"] = [{ finetune: { ...tune.finetune, peft: [{ lora: { rank: 2 } }, { adapter: { reductionFactor: 4 } }] } }];
  await world.run();
  const { value } = await predictTexts({ kernel, checkpoint: world.path("out"), texts: [{ text: "the film was good" }], backend: "cpu" }).next();
  expect(Object.keys((value as Prediction).probabilities)).toEqual(["bad", "good"]);
});

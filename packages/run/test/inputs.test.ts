import { existsSync, readFileSync, writeFileSync } from "node:fs";
import type { Task } from "@deft-js/core";
import opt from "@deft-js/plugin-model-opt";
import { text } from "@deft-js/plugin-task-text";
import { createKernel, createRun, initModel, loadModel, measureDensity, openRecipe, predictTexts, saveModel } from "@deft-js/run";
import { beforeEach, describe, expect, test } from "vitest";
import { sentences, TINY_CONFIG, writeTokenizer } from "./support/tiny.ts";
import { makeWorld, PLUGINS, type World } from "./support/world.ts";

const plugins = [...PLUGINS, opt];
const kernel = await createKernel({ plugins, discover: false });
let world: World;
beforeEach(async () => {
  world = await makeWorld();
});

const OPT = { model_type: "opt", hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, ffn_dim: 32, max_position_embeddings: 64, word_embed_proj_dim: 16, do_layer_norm_before: true, activation_function: "relu", pad_token_id: 0, bos_token_id: 2, eos_token_id: 1 };

/** A decoder that writes a mood behind `the film was … quite`, trained for a few steps. */
async function trainDecoder(): Promise<void> {
  writeTokenizer(world.path("tok"));
  writeFileSync(world.path("tok", "tokenizer_config.json"), JSON.stringify({ eos_token: "[SEP]" }));
  const artifact = await initModel({ kernel, config: { ...OPT, initializer_range: 0.3 }, tokenizer: world.path("tok"), head: "language-model" });
  await saveModel(world.path("opt"), artifact);
  artifact.model.dispose();
  const task = { text: { train: "data/train.csv", evaluation: "./data/dev.csv", text: "text", label: "label", words: { good: "warm", bad: "cold" }, template: "quite {text} quite", maxLength: 24 } };
  world.content = { model: "opt", backend: "cpu", output: "out", stages: [{ finetune: { task, peft: { lora: { rank: 4, target: "proj|fc" } }, epochs: 8, batchSize: 8, optimizer: { adamw: { learningRate: 0.03 } } } }] };
  await world.run({ plugins });
}

describe("texts for a language model with an adapter", () => {
  const texts = sentences(4, 3);
  const generated = async (request: object): Promise<string[]> => {
    const all: string[] = [];
    for await (const one of predictTexts({ kernel, checkpoint: world.path("opt"), adapter: world.path("out", "adapter"), backend: "cpu", texts, maxNewTokens: 4, ...request })) all.push((one as { generated: string }).generated);
    return all;
  };

  test("go in as its task put them, and end with the tokenizer's end token", async () => {
    await trainDecoder();
    const asked = await generated({});
    expect(asked).toEqual(await generated({ prompt: "none", texts: texts.map(({ text }) => ({ text: `quite ${text} quite` })) }));
    expect(asked.every((text) => /^\w*$/.test(text))).toBe(true); // config.json's end token is another: words would go on
    const streamed: string[] = [];
    expect(await generated({ onText: (piece: string) => streamed.push(piece) })).toEqual(asked);
    const data = world.path("data", "dev.csv");
    const layers = async (request: object): Promise<unknown> => (await measureDensity({ kernel, checkpoint: world.path("opt"), adapter: world.path("out", "adapter"), backend: "cpu", data, ...request })).layers;
    writeFileSync(world.path("put.csv"), readFileSync(data, "utf8").replace(/^(.*),(good|bad)$/gm, "quite $1 quite,$2"));
    expect(await layers({})).toEqual(await layers({ prompt: "none", data: world.path("put.csv") }));
    expect(await layers({})).not.toEqual(await layers({ prompt: "none" }));
  });

  test("without the plugin of the task nothing is guessed", async () => {
    await trainDecoder();
    const without = await createKernel({ plugins: plugins.filter(({ name }) => !name.endsWith("task-text")), discover: false });
    await expect(generated({ kernel: without })).rejects.toMatchObject({ code: "plugin.unknown" });
    expect(await generated({ kernel: without, prompt: "none" })).toHaveLength(4);
  });
});

describe("pretraining", () => {
  test("leaves texts out of which nothing could be predicted, and takes a tokenizer file of any name along", async () => {
    writeFileSync(writeTokenizer(world.path("tok")).replace("tokenizer.json", "words.json"), readFileSync(world.path("tok", "tokenizer.json")));
    writeFileSync(world.path("corpus.txt"), [...sentences(8, 4).map((row) => row.text), "☃"].join("\n"));
    writeFileSync(world.path("snow.txt"), "☃\n");
    const stage = { text: "corpus.txt", epochs: 1, batchSize: 1, shuffle: false, maxLength: 16 };
    world.content = { model: { init: { ...TINY_CONFIG, initializer_range: 0.02 }, tokenizer: "tok/words.json" }, backend: "cpu", stages: [{ pretrain: stage }], output: "pre" };
    const { metrics } = await world.run();
    expect(metrics["pretrain"]).toMatchObject({ steps: 7 }); // one of eight is held out
    expect(readFileSync(world.path("pre", "model", "tokenizer.json"), "utf8")).toBe(readFileSync(world.path("tok", "words.json"), "utf8"));
    world.content["stages"] = [{ pretrain: { ...stage, validation: "snow.txt" } }];
    await expect(world.run({ output: world.path("snow") })).rejects.toMatchObject({ code: "task.empty", message: expect.stringContaining("snow.txt") as string });
    world.content["stages"] = [{ pretrain: { ...stage, validation: "snow.txt", holdOut: 0.2 } }];
    await expect(world.run({ output: world.path("both") })).rejects.toMatchObject({ code: "recipe.invalid", message: expect.stringContaining("holdOut") as string });
  });
});

describe("what waits for evaluations", () => {
  test.each([
    ["finetune.earlyStopping={ metric: accuracy, patience: 1, split: nope }", /split must be one of dev, got nope\./], ["finetune.earlyStopping={ metric: accuracy, patience: 1 }", /earlyStopping needs evaluations, got evaluateEvery: never\./, "never"],
    ["finetune.keep=best", /keep: best needs evaluations, got evaluateEvery: never\./, "never"],
  ])("%s is refused where they never come", async (setting, words, every = "epoch") => {
    await expect(world.run({ set: [setting, `finetune.evaluateEvery=${every}`] })).rejects.toMatchObject({ code: "early-stopping.split", message: expect.stringMatching(words) as string });
  });

  test("a task without a split to evaluate has nothing to choose by", async () => {
    const task = text({ train: world.path("data", "train.csv"), evaluation: world.path("data", "dev.csv"), text: "text", label: "label", maxLength: 16 });
    const bare: Task = { ...task, open: async (context) => ({ ...(await task.open(context)), evaluation: [] }) };
    const model = await loadModel(world.path("tiny"), { kernel, head: "sequence-classification", labels: 2 });
    await expect(createRun({ model, task: bare }).fit({ epochs: 1, keep: "best" })).rejects.toMatchObject({ code: "early-stopping.split", message: expect.stringContaining("keep: best needs a split to evaluate") as string });
  });

  test("a metric that they do not have ends the run with its name, its checkpoint kept", async () => {
    await expect(world.run({ set: ["finetune.earlyStopping={ metric: acuracy, patience: 3 }"] })).rejects.toMatchObject({ code: "early-stopping.metric", message: expect.stringContaining("got acuracy") as string });
    expect(existsSync(world.path("out", "checkpoints", "0-finetune", "last.safetensors"))).toBe(true);
    expect(world.events("out").filter(({ type }) => type === "step.completed")).toHaveLength(3);
  });
});

test("a stage without options needs no braces; the back-end that is named on the command line keeps the recipe's options of it", async () => {
  writeFileSync(world.recipe, "model: tiny\nbackend: { wasm: {} }\nstages:\n  - evaluate:\n");
  const opened = async (backend?: string): Promise<unknown> => (await openRecipe({ file: world.recipe, plugins: PLUGINS, discover: false, backend })).content;
  expect(await opened("wasm")).toMatchObject({ backend: { wasm: {} }, stages: [{ evaluate: {} }] });
  expect(await opened("cpu")).toMatchObject({ backend: "cpu" });
});

test("a tokenizer of more tokens than the model has rows for is refused before anything runs", async () => {
  const file = world.path("tiny", "tokenizer.json");
  const json = JSON.parse(readFileSync(file, "utf8")) as { added_tokens: object[] };
  writeFileSync(file, JSON.stringify({ ...json, added_tokens: [...json.added_tokens, { id: 18, content: "<new>", single_word: false, lstrip: false, rstrip: false, normalized: false, special: true }] }));
  await expect(world.run()).rejects.toMatchObject({ code: "checkpoint.config", message: expect.stringContaining("vocab_size must hold the tokenizer's 19 tokens, got 18.") as string });
});

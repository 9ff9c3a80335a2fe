import { existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readSafetensors, writeSafetensors } from "@deft-js/checkpoint";
import { exitCodeOf } from "@deft-js/cli";
import type { Reporter } from "@deft-js/core";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { makeWorld, type World } from "./support/world.ts";

/** One world for all: every case spoils a copy of one file, or the settings, and puts it back. */
let world: World;
let weights: Buffer;

beforeAll(async () => {
  world = await makeWorld();
  weights = readFileSync(world.path("tiny", "model.safetensors"));
});

beforeEach(() => {
  writeFileSync(world.path("tiny", "model.safetensors"), weights);
  rmSync(world.path("out"), { recursive: true, force: true });
});

/** The run must end with this code, this exit code and these words, and leave nothing. */
async function expectRefused(code: string, exitCode: number, words: RegExp, set: string[] = []): Promise<void> {
  const error: unknown = await world.run({ set }).then(() => undefined, (thrown: unknown) => thrown);
  expect(error).toMatchObject({ code, message: expect.stringMatching(words) as string });
  expect((error as Error).message).toMatch(/, got [^]*\.( |$)/);
  expect(exitCodeOf(error)).toBe(exitCode);
  expect(existsSync(world.path("out"))).toBe(false);
}

async function spoil(change: (tensors: Map<string, { name: string; shape: readonly number[]; values: Float32Array }>) => void): Promise<void> {
  const file = world.path("tiny", "model.safetensors");
  const tensors = new Map((await readSafetensors(file)).tensors);
  change(tensors);
  await writeSafetensors(file, tensors.values());
}

test("a missing key in the checkpoint", async () => {
  await spoil((tensors) => tensors.delete("bert.encoder.layer.1.output.dense.weight"));
  await expectRefused("checkpoint.missing", 4, /bert\.encoder\.layer\.1\.output\.dense\.weight/);
});

test("a truncated safetensors file", async () => {
  truncateSync(world.path("tiny", "model.safetensors"), weights.length - 1000);
  await expectRefused("safetensors.truncated", 4, /model\.safetensors/);
});

test("a header that claims 2^60 bytes", async () => {
  const header = Buffer.alloc(64);
  header.writeBigUInt64LE(2n ** 60n);
  writeFileSync(world.path("tiny", "model.safetensors"), header);
  await expectRefused("safetensors.header", 4, /1152921504606846976/);
});

test("NaN in the weights", async () => {
  await spoil((tensors) => {
    const found = tensors.get("bert.encoder.layer.0.attention.self.key.weight")!;
    found.values[5] = NaN;
  });
  await expectRefused("checkpoint.nonfinite", 4, /NaN in bert\.encoder\.layer\.0\.attention\.self\.key\.weight at index 5/);
});

test("a label outside the range", async () => {
  writeFileSync(world.path("data", "odd.csv"), "text,label\nthe film,good\nthe film,ugly\n");
  await expectRefused("data.row", 3, /odd\.csv:3: .*ugly/, ["finetune.task.text.train=./data/odd.csv", "finetune.task.text.labels=[bad, good]"]);
});

test("an empty dataset", async () => {
  writeFileSync(world.path("data", "empty.csv"), "text,label\n");
  await expectRefused("task.empty", 3, /empty\.csv/, ["finetune.task.text.train=./data/empty.csv"]);
});

test("an unknown option: the known ones are named", async () => {
  await expectRefused("recipe.invalid", 2, /the unknown option rnak at stages\.0\.finetune\.peft\.lora \(known: rank, alpha, /, ["finetune.peft.lora.rnak=3"]);
  await expectRefused("recipe.invalid", 2, /the unknown option epoch at stages\.0\.finetune \(known: task, peft, /, ["finetune.epoch=3"]);
  await expectRefused("recipe.invalid", 2, /stages\.0\.finetune\.batchSize/, ["finetune.batchSize=0"]);
  await expectRefused("recipe.invalid", 2, /stages\.1: must name exactly one/, ["stages.1={ evaluate: {}, export: { path: x } }"]);
});

test("an unknown method, loss or stage: the package to install is named", async () => {
  await expectRefused("plugin.unknown", 6, /peft-method, got "prefix"\. Known: lora, adapter; run `npm install @deft-js\/plugin-peft-prefix`/, ["finetune.peft={ prefix: {} }"]);
  await expectRefused("plugin.unknown", 6, /loss-term, got "denstiy"\. Known: density; correct its spelling/, ["finetune.losses=[{ denstiy: {} }]"]);
  await expectRefused("plugin.unknown", 6, /stage, got "quantise"/, ["stages.1={ quantise: {} }"]);
});

test("an unknown plugin or back-end", async () => {
  await expectRefused("plugin.missing", 6, /npm install @deft-js\/plugin-nowhere/, ["plugins=['@deft-js/plugin-nowhere']"]);
  await expectRefused("plugin.missing", 6, /nowhere\.mjs/, ["plugins=[./nowhere.mjs]"]);
  await expectRefused("backend.unknown", 7, /got "abacus"\. Known: /, ["backend=abacus"]);
});

test("a model that is not there, and one of an unknown type", async () => {
  await expectRefused("checkpoint.missing", 4, /nowhere/, ["model=./nowhere"]);
  const config = readFileSync(world.path("tiny", "config.json"), "utf8");
  writeFileSync(world.path("tiny", "config.json"), config.replace('"bert"', '"t5"'));
  await expectRefused("plugin.unknown", 6, /npm install @deft-js\/plugin-model-t5/);
  writeFileSync(world.path("tiny", "config.json"), config);
});

test("a checkpoint that cannot be written ends the run with the system's reason", async () => {
  const inTheWay: Reporter = { id: "in-the-way", connect: ({ folder = "" }) => {
    writeFileSync(join(folder, "checkpoints"), "");
    return () => undefined;
  } };
  const error: unknown = await world.run({ reporters: [inTheWay] }).then(() => undefined, (thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "checkpoint.unwritable", message: expect.stringMatching(/(last|best)\.safetensors: .*got (ENOTDIR|EEXIST)/) as string });
  expect(exitCodeOf(error)).toBe(4);
  expect(world.events("out").at(-1)).toMatchObject({ type: "run.failed", code: "checkpoint.unwritable" });
});

test("a run's folder that is a file", async () => {
  writeFileSync(world.path("out"), "");
  const error: unknown = await world.run().then(() => undefined, (thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "recipe.output", message: expect.stringMatching(/ENOTDIR/) as string });
  expect(exitCodeOf(error)).toBe(2);
});

test("a failure after the beginning leaves the events, the recipe and the last good checkpoint, and nothing half-done", async () => {
  const error: unknown = await world.run({ set: ["finetune.optimizer.adamw.learningRate=1.0e+38", "finetune.saveEvery=1"] }).then(() => undefined, (thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "training.nonfinite" });
  expect(exitCodeOf(error)).toBe(5);
  expect(world.events("out").at(-1)).toMatchObject({ type: "run.failed", code: "training.nonfinite" });
  for (const name of ["metrics.json", "adapter", ".adapter.partial"]) expect(existsSync(world.path("out", name))).toBe(false);
  expect(existsSync(world.path("out", "checkpoints", "0-finetune", "last.safetensors"))).toBe(true);
});

import { batchTensors, type Artifact } from "@deft-js/core";
import { makeSplit } from "@deft-js/data";
import adaDeft, { gatesOf } from "@deft-js/plugin-ada-deft";
import { createKernel, loadModel, runRecipe } from "@deft-js/run";
import { read, scope } from "@deft-js/tensor";
import { expect, test } from "vitest";
import { comparedQuality } from "../src/inspect/bench-quality.ts";
import { measureVariant } from "../src/inspect/bench-variant.ts";
import { hasPlan, trainedTask } from "../src/inspect/checkpoint.ts";
import { sentences } from "./support/tiny.ts";
import { makeWorld, PLUGINS } from "./support/world.ts";

const plugins = [...PLUGINS, adaDeft];

function logits({ model, tokenizer }: Artifact): Float32Array {
  const examples = sentences(6, 9).map((row) => ({ ...tokenizer.encode(row.text, undefined, 16), label: 0 }));
  const [host] = [...makeSplit({ name: "texts", examples, padId: tokenizer.padId }).batches({ batchSize: 6 })];
  return scope(() => read(model.forward(batchTensors(host!)).logits));
}

test("a plan of skipped blocks is found within its budget, saved with LoRA and applied at load, where the blocks are absent", async () => {
  const world = await makeWorld();
  const [{ finetune }] = world.content["stages"] as [{ finetune: Record<string, unknown> }];
  const trained = { ...finetune, epochs: 1, peft: [{ lora: { rank: 2, alpha: 4 } }, { gates: { strategy: "sigmoid" } }], losses: [{ "gated-density": { blockCost: 0.1 } }] };
  world.content["stages"] = [{ finetune: trained }, { evaluate: {} }, { gate: { budget: { points: 100, blocks: 1 } } }, { evaluate: {} }];
  world.write();
  const { metrics } = await runRecipe({ file: world.recipe, plugins, discover: false });
  const { blocks, trials, after } = metrics["gate"] as { blocks: { path: string; layer: number; gate: number; skipped: boolean }[]; trials: unknown[]; after: number };
  expect(metrics["gate"]).toMatchObject({ strategy: "sigmoid", split: "dev", metric: "accuracy", skipped: 1, of: 2 });
  expect(trials).toHaveLength(1);
  expect((metrics["evaluate-2"] as { evaluations: Record<string, { metrics: { accuracy: number } }> }).evaluations["dev"]!.metrics.accuracy).toBe(after);
  expect(metrics["evaluate"]).toMatchObject({ evaluations: { dev: { reports: { gates: { layers: blocks.map(({ path, gate }) => ({ path, gate })) } } } } });

  const kernel = await createKernel({ plugins, discover: false });
  const loaded = (): Promise<Artifact> => loadModel(world.path("tiny"), { kernel, adapter: world.path("out", "adapter") });
  const model = await loaded();
  const absent = model.model.sites("linear").filter(({ weight }) => weight?.format === "absent").map(({ path }) => path);
  const layer = blocks.find(({ skipped }) => skipped)!.layer;
  expect(absent).toEqual([`bert.encoder.layer.${layer}.intermediate.dense`, `bert.encoder.layer.${layer}.output.dense`]);
  expect(model.attachments.map(({ method }) => method.id)).toEqual(["lora", "gates"]);
  expect(logits(model)).toEqual(logits(await loaded()));
  expect(logits(model).every(Number.isFinite)).toBe(true);

  // bench follows the plan in a variant of its own; all others run every block with the gate that it had
  const before = (metrics["evaluate"] as { evaluations: Record<string, { metrics: { accuracy: number } }> }).evaluations["dev"]!.metrics.accuracy;
  const request = { checkpoint: world.path("tiny"), adapter: world.path("out", "adapter"), kernel, backend: "cpu", batches: [2], seq: 8, tokens: 2, iters: 1 };
  expect(await hasPlan(request)).toBe(true);
  const task = await trainedTask(request);
  expect(task).toMatchObject({ text: { train: world.path("data", "train.csv"), maxLength: 16 } });
  const quality = { task: task! };
  const dense = await measureVariant({ ...request, quality }, {});
  const planned = await measureVariant({ ...request, quality }, { planned: true });
  expect([dense.formats, planned.formats]).toEqual([["dense"], ["dense", "absent"]]);
  expect(dense.quality).toMatchObject({ split: "dev", metric: "accuracy", value: before });
  expect(planned.quality).toMatchObject({ metric: "accuracy", value: after });
  expect(comparedQuality(planned.quality!, dense.quality!).largestDifference).toBeGreaterThan(0);
  const whole = await loadModel(world.path("tiny"), { kernel, adapter: world.path("out", "adapter"), plan: "ignore" });
  const readings = gatesOf(whole.model)[0]!.readings();
  expect(readings.map(({ path, gate }) => [path, gate])).toEqual(blocks.map(({ path, gate }) => [path, gate]));
  expect(readings.every(({ skipped }) => !skipped)).toBe(true);
});

import { batchTensors, type Artifact } from "@deft-js/core";
import { makeSplit } from "@deft-js/data";
import adaDeft from "@deft-js/plugin-ada-deft";
import { createKernel, loadModel, runRecipe } from "@deft-js/run";
import { read, scope } from "@deft-js/tensor";
import { expect, test } from "vitest";
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
});

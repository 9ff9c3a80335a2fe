import pruning from "@deft-js/plugin-pruning";
import quantization from "@deft-js/plugin-quantization";
import { afterEach, expect, it } from "vitest";
import { rmSync } from "node:fs";
import { makeWorld, PLUGINS, type World } from "./support/world.ts";

let world: World | undefined;
afterEach(() => rmSync(world?.folder ?? "", { recursive: true, force: true }));

const stages = (made: World): Record<string, unknown>[] => made.content["stages"] as Record<string, unknown>[];

it("prunes on a task's examples, quantizes under the mask, fine-tunes with the density loss and evaluates, in one recipe", async () => {
  world = await makeWorld();
  const { task } = stages(world)[0]!["finetune"] as { task: unknown };
  world.content["stages"] = [{ prune: { wanda: { sparsity: 0.5, calibration: { task, samples: 6 } } } }, { quantize: { format: "nf4" } }, ...stages(world)];
  await world.run({ plugins: [...PLUGINS, pruning, quantization] });
  const metrics = world.json("out", "metrics.json")["stages"] as unknown as Record<string, Record<string, never>>;
  expect(metrics["prune"]).toMatchObject({ method: "wanda", samples: 6, sparsity: 0.5 });
  expect(metrics["quantize"]).toMatchObject({ format: "nf4", quantized: 12 });
  expect(metrics["evaluate"]!["evaluations"]).toHaveProperty(["dev", "metrics", "accuracy"]);
  expect(metrics["finetune"]!["trainableParameters"]).toBeGreaterThan(0);
});

it.each([[{ prune: { magnitude: { sparsity: 0.5 } } }, "masked"], [{ quantize: { format: "nf4" } }, "nf4"]])("does not pretrain where the stage before leaves weights that cannot be trained: %j", async (before, format) => {
  world = await makeWorld();
  const training = { pretrain: { text: "data/train.csv", column: "text", epochs: 1, batchSize: 8 } };
  world.content["stages"] = [before, training];
  await expect(world.run({ plugins: [...PLUGINS, pruning, quantization] })).rejects.toMatchObject({ code: "pretrain.weights", message: expect.stringContaining(`must be held dense, got ${format}, whose`) as string });
  world.content = { ...world.content, stages: [training, before], output: "after" };
  expect((await world.run({ plugins: [...PLUGINS, pruning, quantization] })).metrics).toHaveProperty("pretrain");
});

it("prunes on the data of the stage before when it names none, and says so when there is none", async () => {
  world = await makeWorld();
  world.content["stages"] = [{ prune: { wanda: {} } }, ...stages(world)];
  await expect(world.run({ plugins: [...PLUGINS, pruning] })).rejects.toMatchObject({ code: "prune.calibration" });
});

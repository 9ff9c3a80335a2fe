import { evaluate, mlpBlocks, type HostBatch, type Meter, type Split } from "@deft-js/core";
import { expect, test } from "vitest";
import { toyModel } from "../src/index.ts";

test("the blocks of a model, with the role of each matrix", async () => {
  const model = await toyModel();
  const blocks = mlpBlocks(model);
  expect(blocks.map(({ stack, layer, up, gate, down }) => [stack, layer, up.path, gate, down.path])).toEqual([
    ["encoder", 0, "toy.encoder.layer.0.intermediate.dense", undefined, "toy.encoder.layer.0.output.dense"],
    ["encoder", 1, "toy.encoder.layer.1.intermediate.dense", undefined, "toy.encoder.layer.1.output.dense"],
  ]);
  expect(blocks.every(({ up, down, activation }) => up.dOut === activation.dIn && down.dIn === activation.dOut)).toBe(true);
  model.dispose();
});

test("a meter sees the model before an evaluation and is told when it ends", async () => {
  const model = await toyModel();
  const told: string[] = [];
  const meter: Meter = { id: "m", taps: {}, begin: () => (told.push("begin"), () => told.push("end")), add: () => told.push("add"), report: () => ({}), reset: () => told.push("reset") };
  const host: HostBatch = { size: 1, seq: 2, inputIds: Int32Array.of(1, 2), attentionMask: Float32Array.of(1, 1), labels: Int32Array.of(0) };
  const split: Split = { name: "dev", size: 1, batches: () => [host] };
  await evaluate({ model, split, meters: [meter] });
  expect(told).toEqual(["reset", "begin", "add", "end"]);
  model.dispose();
});

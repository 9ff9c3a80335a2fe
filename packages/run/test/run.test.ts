import { cpSync, existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import type { Reporter } from "@deft-js/core";
import { saveTrainingState } from "@deft-js/checkpoint";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { holdFolder } from "../src/run/hold.ts";
import { makeWorld, type World } from "./support/world.ts";

type Json = Record<string, unknown>;

/** What the stage `evaluate` found on dev. */
function dev(metrics: Json): { metrics: Record<string, number>; reports: { density: { layers: Json[] } } } {
  return (metrics["evaluate"] as { evaluations: Record<string, never> }).evaluations["dev"] as never;
}

test("a recipe leaves the resolved recipe, events, metrics, checkpoints and the adapter", async () => {
  const world = await makeWorld();
  const { folder, metrics } = await world.run();
  expect(folder).toBe(world.path("out"));
  expect(readdirSync(folder).sort()).toEqual(["adapter", "checkpoints", "events.jsonl", "metrics.json", "recipe.resolved.yaml"]);
  const events = world.events("out");
  const types = events.map(({ type }) => type);
  expect([types[0], types.at(-1)]).toEqual(["run.started", "run.completed"]);
  expect(types.filter((type) => type === "step.completed")).toHaveLength(6);
  expect(events.filter(({ type }) => type.startsWith("stage."))).toMatchObject([
    { type: "stage.started", stage: "finetune", index: 0, of: 2 }, { type: "stage.completed", stage: "finetune", index: 0 },
    { type: "stage.started", stage: "evaluate", index: 1, of: 2 }, { type: "stage.completed", stage: "evaluate", index: 1 },
  ]);
  const saved = world.json("out", "metrics.json") as unknown as { run: Json; stages: Json };
  expect(saved.run).toMatchObject({ name: "recipe", seed: 42, backend: "cpu" });
  expect(saved.stages).toEqual(JSON.parse(JSON.stringify(metrics)));
  const { layers } = dev(saved.stages).reports.density;
  expect(layers.map(({ layer }) => layer)).toEqual([0, 1]);
  expect(Object.keys(layers[0]!)).toEqual(expect.arrayContaining(["exact", "exactIncludingPadding", "thresholded"]));
  const finetune = saved.stages["finetune"] as Json;
  expect(finetune).toMatchObject({ steps: 6, keptStep: 6, labels: ["bad", "good"], losses: [{ density: { weight: 1, padding: "exclude" } }] });
  const resolved = parse(readFileSync(world.path("out", "recipe.resolved.yaml"), "utf8")) as { model: string; stages: [{ finetune: { task: { text: Json } } }] };
  expect(resolved.model).toBe(world.path("tiny"));
  expect(resolved.stages[0].finetune.task.text).toMatchObject({ train: world.path("data", "train.csv"), evaluation: world.path("data", "dev.csv") });
});

test("the same seed gives the same bits, another seed others, and the resolved recipe is the same run", async () => {
  const world = await makeWorld();
  const first = await world.run();
  const again = await world.run({ output: world.path("again") });
  const other = await world.run({ output: world.path("other"), set: ["seed=43"] });
  const resolved = await world.run({ file: world.path("out", "recipe.resolved.yaml"), output: world.path("resolved") });
  expect(dev(again.metrics)).toEqual(dev(first.metrics));
  expect(dev(resolved.metrics)).toEqual(dev(first.metrics));
  expect(dev(other.metrics)).not.toEqual(dev(first.metrics));
});

test("settings override the recipe, by path and by stage", async () => {
  const world = await makeWorld();
  const { metrics } = await world.run({ set: ["finetune.epochs=1", "stages.0.finetune.losses=[]", "finetune.peft={ adapter: { reductionFactor: 4 } }"] });
  expect(metrics["finetune"]).toMatchObject({ steps: 3, losses: [] });
  expect(existsSync(world.path("out", "adapter", "adapter.safetensors"))).toBe(true);
});

/** What a resumed run must have in common with an uninterrupted one: all but the evaluation that an interrupted training ends with. */
function outcome(world: World, run: string): unknown {
  const { stages } = world.json(run, "metrics.json") as unknown as { stages: { finetune: Json } };
  for (const key of ["history", "best"]) Reflect.deleteProperty(stages.finetune, key);
  return [stages, readFileSync(world.path(run, "adapter", "adapter_model.safetensors")).toString("base64")];
}

test("an interrupt stops after the step with a checkpoint, and resuming ends where the uninterrupted run does, bit for bit", async () => {
  const world = await makeWorld();
  world.content["stages"] = [...(world.content["stages"] as Json[]), { export: { path: "exported", layout: "adapterhub" } }];
  await world.run({ output: world.path("whole") });
  const interrupt = new AbortController();
  const atStepTwo = { id: "interrupt", connect: ({ events }: Parameters<Reporter["connect"]>[0]) => {
    const subscription = events.subscribe((event) => event.type === "step.completed" && event.step === 2 && interrupt.abort());
    return () => subscription.unsubscribe();
  } };
  await expect(world.run({ signal: interrupt.signal, reporters: [atStepTwo] })).rejects.toMatchObject({ code: "run.interrupted" });
  expect(readdirSync(world.path("out")).sort()).toEqual(["checkpoints", "events.jsonl", "recipe.resolved.yaml"]);
  expect(world.events("out").at(-1)).toMatchObject({ type: "run.failed", code: "run.interrupted" });
  await world.run({ resume: true });
  expect(outcome(world, "out")).toEqual(outcome(world, "whole"));
  await world.run({ file: world.path("out"), resume: true });
  expect(outcome(world, "out")).toEqual(outcome(world, "whole"));
});

test("what goes on is the run that began: a changed recipe is refused and loses nothing; its length and the stages behind may change", async () => {
  const world = await makeWorld();
  await world.run();
  const left = ["adapter", "checkpoints", "events.jsonl", "metrics.json", "recipe.resolved.yaml"];
  const [recipe, adapter] = [readFileSync(world.path("out", "recipe.resolved.yaml"), "utf8"), readFileSync(world.path("out", "adapter", "adapter_model.safetensors"))];
  for (const [change, words] of [["seed=7", /seed .*got 7 where that is 42/], ["finetune.peft.lora.alpha=64", /peft\.lora\.alpha .*got 64 where that is 4\./], ["finetune.batchSize=4", /batchSize/], ["finetune.clipNorm=1", /clipNorm .*got 1 where that is nothing/]] as const)
    await expect(world.run({ resume: true, set: [change] })).rejects.toMatchObject({ code: "recipe.resume", message: expect.stringMatching(words) as string });
  expect(readdirSync(world.path("out")).sort()).toEqual(left);
  expect([readFileSync(world.path("out", "recipe.resolved.yaml"), "utf8"), readFileSync(world.path("out", "adapter", "adapter_model.safetensors"))]).toEqual([recipe, adapter]);
  cpSync(world.path("data", "dev.csv"), world.path("data", "moved.csv"));
  await world.run({ resume: true, set: ["finetune.epochs=3", `finetune.task.text.evaluation=${world.path("data", "moved.csv")}`, "stages.1.evaluate.batchSize=2"] });
  expect(world.json("out", "metrics.json")).toMatchObject({ stages: { finetune: { steps: 9 } } });
  expect(world.events("out").filter(({ type }) => type === "warning")).toMatchObject([{ message: expect.stringMatching(/text\.evaluation should be the files.*moved\.csv where that was .*dev\.csv/) as string }]);
});

test("a recipe that only evaluates takes the head that is there: of none it says so, and an adapter's scores as after training", async () => {
  const world = await makeWorld();
  const { metrics } = await world.run();
  const [{ finetune: { task } }] = world.content["stages"] as [{ finetune: { task: Json } }];
  world.content = { ...world.content, stages: [{ evaluate: { task } }] };
  await expect(world.run({ output: world.path("none") })).rejects.toMatchObject({ code: "model.head", message: expect.stringMatching(/needs a sequence-classification head, got masked-language-model/) as string });
  world.content["model"] = { path: "tiny", adapter: world.path("out", "adapter") };
  const again = await world.run({ output: world.path("again") });
  const scores = (of: Json): unknown[] => Object.values((of["evaluate"] as { evaluations: Record<string, Json> }).evaluations).map((measured) => measured["metrics"]);
  expect(scores(again.metrics)).toEqual(scores(metrics));
});

test("a run whose resuming fails keeps what it had", async () => {
  const world = await makeWorld();
  await world.run();
  writeFileSync(world.path("data", "train.csv"), `${readFileSync(world.path("data", "train.csv"), "utf8").trim().split("\n").slice(0, -2).join("\n")}\n`);
  const metrics = world.json("out", "metrics.json");
  await expect(world.run({ resume: true })).rejects.toMatchObject({ code: "training.resume" });
  expect(world.json("out", "metrics.json")).toEqual(metrics);
  expect(existsSync(world.path("out", "adapter", "adapter_model.safetensors"))).toBe(true);
});

test("a run's folder is not written over, and what holds no run is not resumed", async () => {
  const world = await makeWorld();
  await world.run({ set: ["finetune.epochs=1"] });
  await expect(world.run()).rejects.toMatchObject({ code: "recipe.output" });
  await expect(world.run({ resume: true, output: world.path("data") })).rejects.toMatchObject({ code: "recipe.resume" });
  await saveTrainingState(world.path("out", "checkpoints", "0-finetune", "last.safetensors"), { json: { foreign: true }, tensors: [] });
  await expect(world.run({ resume: true })).rejects.toMatchObject({ code: "checkpoint.state" });
});

test("a folder where a run is under way is not resumed, whatever name leads to it", async () => {
  const world = await makeWorld();
  await world.run({ set: ["finetune.epochs=1"] });
  const before = readFileSync(world.path("out", "events.jsonl"), "utf8");
  const release = await holdFolder(world.path("out"));
  symlinkSync(world.path("out"), world.path("other"));
  for (const name of ["out", "other"]) await expect(world.run({ resume: true, file: world.path(name) })).rejects.toMatchObject({ code: "recipe.resume", message: expect.stringMatching(/: the folder must be no running process's, got .* under way\. Wait/) as string });
  expect([readFileSync(world.path("out", "events.jsonl"), "utf8"), existsSync(world.path("out", "metrics.json"))]).toEqual([before, true]);
  await release();
  await world.run({ resume: true });
});

test("early stopping ends the stage, and the best state is kept when asked for", async () => {
  const world = await makeWorld();
  const { metrics } = await world.run({ set: ["finetune.epochs=6", "finetune.keep=best", "finetune.earlyStopping={ metric: loss, patience: 1, minDelta: 10 }"] });
  const finetune = metrics["finetune"] as { steps: number; keptStep: number; best: { step: number }; stopped: string };
  expect(finetune).toMatchObject({ steps: 6, stopped: expect.stringContaining("loss") as string });
  expect(finetune.keptStep).toBe(finetune.best.step);
});

test("a text file of a model folder is no recipe", async () => {
  const world = await makeWorld();
  writeFileSync(world.path("other.yaml"), "- a\n- b\n");
  await expect(world.run({ file: world.path("other.yaml") })).rejects.toMatchObject({ code: "recipe.syntax" });
});

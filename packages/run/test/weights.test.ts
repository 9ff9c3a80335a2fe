import { readFileSync } from "node:fs";
import type { Artifact, Model } from "@deft-js/core";
import { openSafetensors } from "@deft-js/checkpoint";
import { lora } from "@deft-js/plugin-peft-lora";
import quantization, { int8, nf4, quantize } from "@deft-js/plugin-quantization";
import { text } from "@deft-js/plugin-task-text";
import { createKernel, exportCheckpoint, exportTo, finetune, load, loadModel, stage } from "@deft-js/run";
import { lastValueFrom } from "rxjs";
import { beforeAll, expect, test } from "vitest";
import { measureVariant } from "../src/inspect/bench-variant.ts";
import { loadCheckpoint } from "../src/inspect/checkpoint.ts";
import { tempFolder } from "./support/tiny.ts";
import { makeWorld, PLUGINS, type World } from "./support/world.ts";

let world: World;
const kernel = await createKernel({ plugins: [...PLUGINS, quantization], discover: false });

beforeAll(async () => {
  world = await makeWorld();
});

const from = { head: "sequence-classification", labels: 2 } as const;
const task = () => text({ train: world.path("data", "train.csv"), evaluation: world.path("data", "dev.csv"), text: "text", label: "label", maxLength: 16 });
const training = () => finetune({ task: task(), peft: lora({ rank: 2 }), epochs: 1, batchSize: 8, meters: [] });

/** Every linear layer's format and the dense matrix that it stands for. */
function weights(model: Model): Record<string, [format: string | undefined, values: number[]]> {
  const values = new Map([...model.exportParameters()].map((array) => [array.name, Array.from(array.values)]));
  return Object.fromEntries(model.sites("linear").map(({ path, weight }) => [path, [weight?.format, values.get(`${path}.weight`) as number[]]]));
}
const formats = (model: Model): (string | undefined)[] => [...new Set(model.sites("linear").map(({ weight }) => weight?.format))];

test("a model loads quantized, to the same bits as when it is quantized in memory; the new head and the kept layers are dense", async () => {
  const keep = String.raw`classifier|layer\.1\.output`;
  const loaded = await loadModel(world.path("tiny"), { kernel, ...from, weights: nf4({ keep }) });
  const inMemory = await lastValueFrom(load(world.path("tiny"), { kernel, backend: "cpu", ...from }).pipe(stage(quantize({ format: "nf4", keep }))));
  expect(weights(loaded.model)).toEqual(weights(inMemory.model));
  expect(weights(loaded.model)["bert.encoder.layer.1.output.dense"]?.[0]).toBe("dense");
  expect(weights(loaded.model)["bert.encoder.layer.0.output.dense"]?.[0]).toBe("nf4");
  expect(loaded.model.sites("linear").find(({ path }) => path === "bert.pooler.dense")?.weight?.format).toBe("dense");
  expect(inMemory.metrics["quantize"]).toMatchObject({ format: "nf4", quantized: 11, kept: ["bert.encoder.layer.1.output.dense", "bert.pooler.dense"] });
});

test.each([["nf4", nf4()], ["int8", int8()]] as const)("%s weights are written as they are held, and come back", async (id, format) => {
  const folder = `${tempFolder()}/held`;
  const artifact = await loadModel(world.path("tiny"), { kernel, ...from, weights: format });
  await lastValueFrom(load(world.path("tiny"), { kernel, ...from, weights: format }).pipe(exportTo(folder, { layout: "model" })));
  const config = JSON.parse(readFileSync(`${folder}/config.json`, "utf8")) as Record<string, Record<string, unknown>>;
  expect(config["quantization_config"]).toMatchObject({ quant_method: "bitsandbytes", load_in_4bit: id === "nf4", llm_int8_skip_modules: expect.arrayContaining(["bert.pooler.dense", "classifier", "lm_head"]) });
  const names = (await openSafetensors(`${folder}/model.safetensors`)).names();
  expect(names).toContain(`bert.encoder.layer.0.output.dense.${id === "nf4" ? "weight.quant_state.bitsandbytes__nf4" : "SCB"}`);
  const back = await loadModel(folder, { kernel });
  expect(weights(back.model)).toEqual(weights(artifact.model));
  expect(back.model.config["quantization_config"]).toBeUndefined();
  await expect(loadModel(folder, { kernel: await createKernel({ plugins: PLUGINS, discover: false }) })).rejects.toMatchObject({ code: "plugin.unknown", message: expect.stringContaining("plugin-quantization") });
  const dense = await lastValueFrom(load(folder, { kernel }).pipe(exportTo(`${folder}-dense`, { layout: "model", base: "dense" })));
  expect(formats((await loadModel(`${folder}-dense`, { kernel })).model)).toEqual(["dense"]);
  expect(dense.metrics["export"]).not.toHaveProperty("drift");
});

test.each([["nf4", nf4()], ["int8", int8()]] as const)("asked for as dense, %s weights of a folder are decoded, to the values that they stand for; as they are held, they stay", async (id, format) => {
  const folder = `${tempFolder()}/held`;
  await lastValueFrom(load(world.path("tiny"), { kernel, ...from, weights: format }).pipe(exportTo(folder, { layout: "model" })));
  const [held, dense] = [await loadModel(folder, { kernel, weights: "held" }), await loadModel(folder, { kernel, weights: "dense" })];
  expect([formats(held.model), formats(dense.model)]).toEqual([[id, "dense"], ["dense"]]);
  const values = (model: Model) => Object.entries(weights(model)).map(([path, [, matrix]]) => [path, matrix]);
  expect(values(dense.model)).toEqual(values(held.model));
  const { artifact } = await loadCheckpoint({ kernel, checkpoint: folder, backend: "cpu", weights: "dense" });
  expect(formats(artifact.model)).toEqual(["dense"]);
  const times = { kernel, checkpoint: folder, backend: "cpu", batches: [1], seq: 4, tokens: 1, iters: 1 };
  expect((await measureVariant(times, {})).formats).toContain(id);
});

test("merging into quantized weights must be explicit; encoded again, the drift is reported", async () => {
  const folder = tempFolder();
  const tuned = (): Promise<Artifact> => lastValueFrom(load(world.path("tiny"), { kernel, ...from, weights: nf4() }).pipe(training(), exportTo(`${folder}/adapter`)));
  await expect(lastValueFrom(load(world.path("tiny"), { kernel, ...from, weights: nf4() }).pipe(training(), exportTo(`${folder}/no`, { layout: "model" })))).rejects.toMatchObject({ code: "export.base" });
  const artifact = await tuned();
  const merged = (base: "dense" | "held"): Promise<Artifact> => lastValueFrom(load(world.path("tiny"), { kernel, ...from, adapter: `${folder}/adapter` }).pipe(exportTo(`${folder}/${base}`, { layout: "model", base })));
  const [dense, held] = [await merged("dense"), await merged("held")];
  expect(dense.metrics["export"]).not.toHaveProperty("drift");
  const { drift } = held.metrics["export"] as { drift: { layers: number; max: number; rms: number } };
  const [exact, again] = [weights(dense.model), weights(held.model)];
  const differences = Object.keys(exact).flatMap((path) => (exact[path] as [string, number[]])[1].map((value, i) => Math.abs(value - ((again[path] as [string, number[]])[1][i] as number))));
  expect(drift.layers).toBe((artifact.attachments[0]?.variables.length ?? 0) / 2);
  expect(drift.max).toBeCloseTo(Math.max(...differences), 6);
  expect(drift.max).toBeGreaterThan(drift.rms);
  expect(formats((await loadModel(`${folder}/held`, { kernel })).model)).toEqual(["nf4", "dense"]);
  const exported = (base: "dense" | "held") => exportCheckpoint({ checkpoint: world.path("tiny"), adapter: `${folder}/adapter`, output: `${folder}/command`, merge: true, base, kernel, backend: "cpu" });
  expect([await exported("held"), await exported("dense")]).toEqual([{ drift: { layers: drift.layers, max: expect.closeTo(drift.max, 6) as number, rms: expect.closeTo(drift.rms, 6) as number } }, {}]);
});

test("an adapter comes back over the base that it was trained over", async () => {
  const folder = tempFolder();
  await lastValueFrom(load(world.path("tiny"), { kernel, ...from, weights: int8() }).pipe(training(), exportTo(`${folder}/a`)));
  expect(formats((await loadModel(world.path("tiny"), { kernel, adapter: `${folder}/a` })).model)).toEqual(["int8", "dense"]);
  for (const weights of ["dense", "held"] as const) expect(formats((await loadModel(world.path("tiny"), { kernel, adapter: `${folder}/a`, weights })).model)).toEqual(["dense"]);
});

test("a recipe loads quantized, or quantizes as a stage, and trains over it", async () => {
  const [finetuneStage, evaluateStage] = world.content["stages"] as Record<string, unknown>[];
  world.content = { ...world.content, model: { path: "tiny", weights: { nf4: { doubleQuantization: false } } }, output: "loaded" };
  const loaded = await world.run({ plugins: [...PLUGINS, quantization] });
  world.content = { ...world.content, model: "tiny", stages: [{ quantize: { format: "nf4", doubleQuantization: false } }, finetuneStage, evaluateStage], output: "staged" };
  const staged = await world.run({ plugins: [...PLUGINS, quantization] });
  expect(staged.metrics["quantize"]).toMatchObject({ format: "nf4", options: { doubleQuantization: false } });
  for (const { metrics } of [loaded, staged]) expect(metrics["evaluate"]).toMatchObject({ evaluations: { dev: { examples: 8 } } });
});

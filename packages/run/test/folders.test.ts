import { readFileSync, writeFileSync } from "node:fs";
import { batchTensors, type HostBatch } from "@deft-js/core";
import { convertAdapter, createKernel, exportCheckpoint, inspectFolder, loadModel, saveAdapters, type AdapterReport, type ModelReport } from "@deft-js/run";
import { read, scope } from "@deft-js/tensor";
import { beforeAll, describe, expect, it } from "vitest";
import type { Kernel } from "@deft-js/core";
import { makeWorld, PLUGINS, type World } from "./support/world.ts";

const batch: HostBatch = { size: 1, seq: 4, inputIds: Int32Array.of(2, 5, 9, 3), attentionMask: Float32Array.of(1, 1, 1, 1) };

let world: World;
let kernel: Kernel;
beforeAll(async () => {
  world = await makeWorld();
  kernel = await createKernel({ plugins: PLUGINS, discover: false });
  await world.run();
}, 120_000);

async function logits(path: string, adapter?: string): Promise<number[]> {
  const { model } = await loadModel(path, { kernel, adapter });
  const found = scope(() => [...read(model.forward(batchTensors(batch)).logits)]);
  model.dispose();
  return found;
}

describe("folders", () => {
  it("inspect says what a run left: method, options, base, tensors, counts, head and labels", async () => {
    const [adapter] = (await inspectFolder(world.path("out"), { kernel })) as [AdapterReport];
    expect(adapter).toMatchObject({ kind: "adapter", layout: "peft", method: { id: "lora", options: { rank: 2, alpha: 4 } }, base: world.path("tiny"), labels: ["bad", "good"], unknownKeys: [] });
    expect(adapter.tensors).toHaveLength(8); // A and B of query and value in two layers
    expect(adapter.parameters).toBe(8 * 2 * 16);
    expect(adapter.head).toEqual({ kind: "sequence-classification", parameters: 16 * 16 + 16 + 2 * 16 + 2 });
    const [model] = (await inspectFolder(world.path("tiny"), { kernel })) as [ModelReport];
    expect(model).toMatchObject({ kind: "model", modelType: "bert", architectures: ["BertForMaskedLM"] });
    await expect(inspectFolder(world.path("data"), { kernel })).rejects.toMatchObject({ code: "checkpoint.missing" });
  });

  it("convert moves an adapter to the other layout and back: the same logits, head and labels", async () => {
    const before = await logits(world.path("tiny"), world.path("out", "adapter"));
    await convertAdapter({ input: world.path("out", "adapter"), output: world.path("hub"), layout: "adapterhub", name: "mine", kernel, backend: "cpu" });
    await convertAdapter({ input: world.path("hub"), output: world.path("back"), layout: "peft", kernel, backend: "cpu" });
    expect(JSON.parse(readFileSync(world.path("hub", "adapter_config.json"), "utf8"))).toMatchObject({ name: "mine", config: { architecture: "lora", r: 2 } });
    for (const folder of ["hub", "back"]) {
      expect(await logits(world.path("tiny"), world.path(folder))).toEqual(before);
      expect(((await inspectFolder(world.path(folder), { kernel }))[0] as AdapterReport).labels).toEqual(["bad", "good"]);
    }
    expect(readFileSync(world.path("back", "adapter_model.safetensors"))).toEqual(readFileSync(world.path("out", "adapter", "adapter_model.safetensors")));
  });

  it("a pooler that was new when the adapter was trained stays part of its head: trainable, and saved again with it", async () => {
    const artifact = await loadModel(world.path("tiny"), { kernel, adapter: world.path("out", "adapter") });
    const head = artifact.model.headParameters().map(({ path }) => path);
    expect(head).toEqual(["bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight", "classifier.bias"]);
    expect(artifact.model.headParameters().every(({ trainable }) => trainable)).toBe(true);
    await saveAdapters(world.path("again"), artifact);
    artifact.model.dispose();
    expect(readFileSync(world.path("again", "adapter_model.safetensors"))).toEqual(readFileSync(world.path("out", "adapter", "adapter_model.safetensors")));
  });

  it("export --merge writes a whole model folder that computes the same", async () => {
    const before = await logits(world.path("tiny"), world.path("out", "adapter"));
    await exportCheckpoint({ checkpoint: world.path("out"), output: world.path("merged"), merge: true, kernel, backend: "cpu" });
    const after = await logits(world.path("merged"));
    after.forEach((value, i) => expect(value).toBeCloseTo(before[i]!, 5));
    expect(JSON.parse(readFileSync(world.path("merged", "config.json"), "utf8"))).toMatchObject({ architectures: ["BertForSequenceClassification"], id2label: { 0: "bad", 1: "good" } });
    expect((await inspectFolder(world.path("merged"), { kernel }))[0]).toMatchObject({ kind: "model", labels: ["bad", "good"] });
  });

  it("export and convert say why nothing can be written", async () => {
    const output = world.path("recipe.yaml", "x");
    const refused = { code: "checkpoint.unwritable", message: expect.stringMatching(/recipe\.yaml\/x: .*got ENOTDIR/) as string };
    for (const options of [{ merge: true }, { layout: "peft" }, { layout: "deft" }] as const) await expect(exportCheckpoint({ checkpoint: world.path("out"), output, kernel, backend: "cpu", ...options })).rejects.toMatchObject(refused);
    await expect(convertAdapter({ input: world.path("out", "adapter"), output, layout: "adapterhub", kernel, backend: "cpu" })).rejects.toMatchObject(refused);
  });

  it("keeps keys of a newer library and warns about them by name; a missing tensor is an error", async () => {
    await exportCheckpoint({ checkpoint: world.path("out"), output: world.path("newer"), layout: "peft", kernel, backend: "cpu" });
    const file = world.path("newer", "adapter_config.json");
    writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, "utf8")) as object), brand_new: 3 }));
    writeFileSync(world.path("newer", "deft.json"), JSON.stringify({ ...(JSON.parse(readFileSync(world.path("newer", "deft.json"), "utf8")) as object), method: undefined }));
    const warnings: string[] = [];
    const { model } = await loadModel(world.path("tiny"), { kernel, adapter: world.path("newer"), warn: (message) => warnings.push(message) });
    model.dispose();
    expect(warnings).toEqual([expect.stringContaining("brand_new")]);
    expect(((await inspectFolder(world.path("newer"), { kernel }))[0] as AdapterReport).unknownKeys).toEqual(["brand_new"]);
    await convertAdapter({ input: world.path("newer"), output: world.path("kept"), layout: "peft", kernel, backend: "cpu" });
    expect(JSON.parse(readFileSync(world.path("kept", "adapter_config.json"), "utf8"))).toMatchObject({ brand_new: 3 });
    writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, "utf8")) as object), target_modules: ["query", "key", "value"] }));
    await expect(loadModel(world.path("tiny"), { kernel, adapter: world.path("newer"), warn: () => undefined })).rejects.toMatchObject({ code: "lora.state" });
  });
});

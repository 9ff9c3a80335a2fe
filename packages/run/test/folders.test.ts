import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { relative } from "node:path";
import { batchTensors, type HostBatch } from "@deft-js/core";
import { openSafetensors, writeSafetensors } from "@deft-js/checkpoint";
import { text } from "@deft-js/plugin-task-text";
import { convertAdapter, createKernel, evaluate, exportCheckpoint, exportTo, inspectFolder, load, loadModel, predictTexts, saveAdapters, type AdapterReport, type ModelReport } from "@deft-js/run";
import { read, scope } from "@deft-js/tensor";
import { lastValueFrom } from "rxjs";
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
    for (const path of [world.path("data"), world.recipe]) await expect(inspectFolder(path, { kernel })).rejects.toMatchObject({ code: "checkpoint.missing", message: expect.stringMatching(/: must be an adapter folder, /) as string });
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

  it("a base that is named by a relative path is recorded by its absolute one, a name as it is", async () => {
    const base = relative(".", world.path("tiny"));
    await convertAdapter({ input: world.path("out", "adapter"), output: world.path("converted"), layout: "peft", model: base, kernel, backend: "cpu" });
    await exportCheckpoint({ checkpoint: base, adapter: world.path("out", "adapter"), output: world.path("exported"), layout: "adapterhub", kernel, backend: "cpu" });
    expect([world.json("converted", "deft.json")["base"], world.json("converted", "adapter_config.json")["base_model_name_or_path"]]).toEqual([world.path("tiny"), world.path("tiny")]);
    expect([world.json("exported", "deft.json")["base"], world.json("exported", "adapter_config.json")["model_name"]]).toEqual([world.path("tiny"), world.path("tiny")]);
    const artifact = await loadModel(base, { kernel, adapter: world.path("out", "adapter") });
    await saveAdapters(world.path("of-a-name"), { ...artifact, source: "owner/tiny" });
    artifact.model.dispose();
    expect(world.json("of-a-name", "deft.json")["base"]).toBe("owner/tiny");
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

  it("classes keep the names that they were trained under over a base with others, by whatever way the model is written", async () => {
    cpSync(world.path("tiny"), world.path("named"), { recursive: true });
    writeFileSync(world.path("named", "config.json"), JSON.stringify({ ...world.json("tiny", "config.json"), id2label: { 0: "good", 1: "bad" }, label2id: { good: 0, bad: 1 } }));
    const words = async (checkpoint: string, adapter?: string): Promise<unknown[]> => {
      const said: unknown[] = [];
      for await (const one of predictTexts({ checkpoint, adapter, texts: [{ text: "good film" }, { text: "bad film" }], kernel, backend: "cpu" })) said.push((one as { label: string }).label);
      return said;
    };
    const trained = await words(world.path("named"), world.path("out", "adapter"));
    const loaded = () => load(world.path("named"), { kernel, backend: "cpu", adapter: world.path("out", "adapter") });
    await lastValueFrom(loaded().pipe(exportTo(world.path("by-stage"), { layout: "model" })));
    await lastValueFrom(loaded().pipe(exportTo(world.path("written-again"))));
    await lastValueFrom(loaded().pipe(exportTo(world.path("theirs"), { layout: "adapterhub" })));
    rmSync(world.path("theirs", "deft.json"));
    expect(world.json("by-stage", "config.json")).toMatchObject({ id2label: { 0: "bad", 1: "good" } });
    expect(world.json("written-again", "deft.json")).toMatchObject({ labels: ["bad", "good"], task: { text: { label: "label" } }, losses: world.json("out", "adapter", "deft.json")["losses"] });
    expect([await words(world.path("by-stage")), await words(world.path("named"), world.path("written-again")), await words(world.path("named"), world.path("theirs"))]).toEqual([trained, trained, trained]);
    const task = (...labels: string[]) => text({ train: world.path("data", "train.csv"), evaluation: world.path("data", "dev.csv"), text: "text", label: "label", labels });
    await lastValueFrom(loaded().pipe(evaluate({ task: task("bad", "good"), meters: [] })));
    for (const artifact of [loaded(), load(world.path("by-stage"), { kernel, backend: "cpu" })])
      await expect(lastValueFrom(artifact.pipe(evaluate({ task: task("good", "bad"), meters: [] })))).rejects.toMatchObject({ code: "evaluation.labels", message: expect.stringMatching(/order bad, good, got good, bad\./) as string });
  });

  it("adapter_config.json and deft.json must tell of one adapter: what another library wrote later is not passed over", async () => {
    await exportCheckpoint({ checkpoint: world.path("out"), output: world.path("later"), layout: "peft", kernel, backend: "cpu" });
    const config = world.json("later", "adapter_config.json") as Record<string, unknown>;
    const attached = async (changes: object): Promise<void> => {
      writeFileSync(world.path("later", "adapter_config.json"), JSON.stringify({ ...config, ...changes }));
      (await loadModel(world.path("tiny"), { kernel, adapter: world.path("later") })).model.dispose();
    };
    await attached({ inference_mode: false, target_modules: [...(config["target_modules"] as string[])].reverse(), peft_version: "0.99" });
    await expect(attached({ lora_alpha: 80 })).rejects.toMatchObject({ code: "checkpoint.config", message: expect.stringMatching(/got lora_alpha 80 where that has 4\..*delete deft\.json/) as string });
    await expect(attached({ use_rslora: true })).rejects.toMatchObject({ message: expect.stringContaining("use_rslora") as string });
    rmSync(world.path("later", "deft.json"));
    await attached({ lora_alpha: 80 });
  });

  it("whole numbers are no adapter's values", async () => {
    cpSync(world.path("out", "adapter"), world.path("codes"), { recursive: true });
    const file = await openSafetensors(world.path("codes", "adapter_model.safetensors"));
    const tensors = await Promise.all(file.names().map((name) => file.readRaw(name)));
    const [first, ...others] = tensors as [(typeof tensors)[number], ...typeof tensors];
    await writeSafetensors(world.path("codes", "adapter_model.safetensors"), [{ ...first, dtype: "I8", bytes: new Uint8Array(first.bytes.length / 4).fill(1) }, ...others]);
    await expect(loadModel(world.path("tiny"), { kernel, adapter: world.path("codes") })).rejects.toMatchObject({ code: "checkpoint.dtype" });
  });

  it("export --merge writes a whole model folder that computes the same", async () => {
    const before = await logits(world.path("tiny"), world.path("out", "adapter"));
    await exportCheckpoint({ checkpoint: world.path("out"), output: world.path("merged"), merge: true, kernel, backend: "cpu" });
    const after = await logits(world.path("merged"));
    after.forEach((value, i) => expect(value).toBeCloseTo(before[i]!, 5));
    expect(JSON.parse(readFileSync(world.path("merged", "config.json"), "utf8"))).toMatchObject({ architectures: ["BertForSequenceClassification"], id2label: { 0: "bad", 1: "good" } });
    cpSync(world.path("merged"), world.path("half"), { recursive: true });
    writeFileSync(world.path("half", "config.json"), JSON.stringify({ ...world.json("merged", "config.json"), torch_dtype: "float16" }));
    await exportCheckpoint({ checkpoint: world.path("half"), output: world.path("whole"), merge: true, kernel, backend: "cpu" });
    expect(world.json("whole", "config.json")).toMatchObject({ torch_dtype: "float32" });
    expect((await inspectFolder(world.path("merged"), { kernel }))[0]).toMatchObject({ kind: "model", labels: ["bad", "good"] });
  });

  it("writes over neither the model's own folder nor files that are somebody's", async () => {
    const before = readFileSync(world.path("tiny", "model.safetensors"));
    await expect(exportCheckpoint({ checkpoint: world.path("out"), output: world.path("tiny"), merge: true, kernel, backend: "cpu" })).rejects.toMatchObject({ code: "export.source" });
    await expect(lastValueFrom(load(world.path("tiny"), { kernel, backend: "cpu" }).pipe(exportTo(`${world.path("data")}/../tiny`, { layout: "model" })))).rejects.toMatchObject({ code: "export.source" });
    expect(readFileSync(world.path("tiny", "model.safetensors"))).toEqual(before);
    for (const [output, merge] of [["card-model", true], ["card-adapter", false]] as const) {
      const written = (): Promise<unknown> => exportCheckpoint({ checkpoint: world.path("out"), output: world.path(output), merge, kernel, backend: "cpu" });
      await written();
      await written();
      writeFileSync(world.path(output, "README.md"), "# mine");
      await expect(written()).rejects.toMatchObject({ code: "checkpoint.occupied" });
      expect(readFileSync(world.path(output, "README.md"), "utf8")).toBe("# mine");
    }
  });

  it("export and convert say why nothing can be written", async () => {
    for (const layout of [undefined, "deft"] as const) await expect(exportCheckpoint({ checkpoint: world.path("tiny"), output: world.path("empty"), layout, kernel, backend: "cpu" })).rejects.toMatchObject({ code: "export.empty" });
    expect(existsSync(world.path("empty"))).toBe(false);
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

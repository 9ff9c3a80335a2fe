import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { batchTensors, type Artifact } from "@deft-js/core";
import { openModelFolder, readSafetensors } from "@deft-js/checkpoint";
import { loadTokenizer, makeSplit } from "@deft-js/data";
import { adapter } from "@deft-js/plugin-peft-adapter";
import { lora } from "@deft-js/plugin-peft-lora";
import { densityLoss, densityMeter } from "@deft-js/plugin-density-loss";
import { text } from "@deft-js/plugin-task-text";
import { createKernel, createRun, evaluate, exportTo, finetune, load, loadModel, maskedSplit, measureDensity, predictTexts, saveAdapters } from "@deft-js/run";
import { read, Rng, scope } from "@deft-js/tensor";
import { lastValueFrom, map, tap } from "rxjs";
import { beforeAll, expect, test } from "vitest";
import { sentences, tempFolder, TINY_CONFIG, writeTokenizer } from "./support/tiny.ts";
import { makeWorld, PLUGINS, type World } from "./support/world.ts";

let world: World;
const kernel = await createKernel({ plugins: PLUGINS, discover: false });

beforeAll(async () => {
  world = await makeWorld();
});

const task = () => text({ train: world.path("data", "train.csv"), evaluation: world.path("data", "dev.csv"), text: "text", label: "label", maxLength: 16 });

/** The logits of a few sentences. */
async function logits({ model, tokenizer }: Artifact): Promise<Float32Array> {
  const examples = sentences(6, 9).map((row) => ({ ...tokenizer.encode(row.text, undefined, 16), label: 0 }));
  const [host] = [...makeSplit({ name: "texts", examples, padId: tokenizer.padId }).batches({ batchSize: 6 })];
  return scope(() => read(model.forward(batchTensors(host!)).logits)) as Float32Array;
}

test.each([
  ["peft", lora({ rank: 2 }), "sequence-classification"], ["adapterhub", lora({ rank: 2 }), "tanh-classification"], ["adapterhub", adapter({ reductionFactor: 4 }), "sequence-classification"],
  ["deft", adapter({ reductionFactor: 4 }), "tanh-classification"],
] as const)("an adapter in layout %s comes back with its head", async (layout, method, head) => {
  const folder = tempFolder();
  const tuned = await lastValueFrom(load(world.path("tiny"), { kernel, backend: "cpu", head, labels: 2 }).pipe(finetune({ task: task(), peft: method, epochs: 1, batchSize: 8, meters: [] }), exportTo(`${folder}/a`, { layout })));
  const back = await loadModel(world.path("tiny"), { kernel, adapter: `${folder}/a`, seed: 1 });
  expect(back.model.head).toBe(head);
  expect(await logits(back)).toEqual(await logits(tuned));
  const foreign = layout === "deft" ? undefined : `${folder}/a/deft.json`;
  if (foreign === undefined) return;
  writeFileSync(foreign, JSON.stringify({ format: 1, layout, name: "default", head: { kind: head, tensors: [] } }));
  expect(await logits(await loadModel(world.path("tiny"), { kernel, adapter: `${folder}/a`, seed: 1 }))).toEqual(await logits(tuned));
});

test("two methods and the merged model", async () => {
  const folder = tempFolder();
  const pipeline = load(world.path("tiny"), { kernel, backend: "cpu", head: "sequence-classification", labels: 2 }).pipe(finetune({ task: task(), peft: [lora({ rank: 2 }), adapter({ reductionFactor: 4 })], epochs: 1, batchSize: 8, meters: [] }), exportTo(`${folder}/both`));
  const tuned = await lastValueFrom(pipeline);
  expect(existsSync(`${folder}/both/0-lora/adapter_model.safetensors`) && existsSync(`${folder}/both/1-adapter/adapter.safetensors`)).toBe(true);
  expect(await logits(await loadModel(world.path("tiny"), { kernel, adapter: `${folder}/both` }))).toEqual(await logits(tuned));
  await expect(lastValueFrom(pipeline.pipe(exportTo(`${folder}/no`, { layout: "model" })))).rejects.toMatchObject({ code: "export.merge", message: expect.stringMatching(/got adapter, .*Export it in layout adapterhub or deft\.$/) as string });
  await expect(saveAdapters(`${folder}/no`, { ...tuned, attachments: tuned.attachments.slice(1) }, { layout: "peft" })).rejects.toMatchObject({ code: "export.layout", message: expect.stringMatching(/Use layout adapterhub or deft\.$/) as string });
  expect(existsSync(`${folder}/no`)).toBe(false);
  const merged = await lastValueFrom(load(world.path("tiny"), { kernel, backend: "cpu", head: "sequence-classification", labels: 2 }).pipe(finetune({ task: task(), peft: lora({ rank: 2 }), epochs: 1, batchSize: 8, meters: [] }), exportTo(`${folder}/merged`, { layout: "model" })));
  const reloaded = await loadModel(`${folder}/merged`, { kernel });
  expect(reloaded.model.head).toBe("sequence-classification");
  expect(await logits(reloaded)).toEqual(await logits(merged));
});

test("a pipeline in code is the recipe's run, bit for bit, with the researcher's own step between", async () => {
  await world.run();
  const seen: string[] = [];
  const folder = tempFolder();
  const tuned = await lastValueFrom(
    load(world.path("tiny"), { kernel, backend: "cpu", head: "sequence-classification", labels: 2, seed: 42, folder, reporters: [{ id: "list", connect: ({ events }) => { const s = events.subscribe(({ type }) => seen.push(type)); return () => s.unsubscribe(); } }] }).pipe(
      finetune({ task: task(), peft: lora({ rank: 2, alpha: 4 }), losses: [densityLoss({ weight: 1 })], optimizer: (await import("@deft-js/core")).adamW({ learningRate: 0.01 }), epochs: 2, batchSize: 8 }),
      map((artifact) => ({ ...artifact, metrics: { ...artifact.metrics, mine: 1 } })),
      tap(({ attachments }) => expect(attachments).toHaveLength(1)),
      evaluate(),
    ),
  );
  expect(tuned.metrics["mine"]).toBe(1);
  expect(JSON.parse(JSON.stringify(tuned.metrics["evaluate"]))).toEqual((world.json("out", "metrics.json") as unknown as { stages: Record<string, unknown> }).stages["evaluate"]);
  expect(seen.filter((type) => type.startsWith("stage."))).toHaveLength(4);
  expect(existsSync(`${folder}/checkpoints/0-finetune/last.safetensors`) && existsSync(`${folder}/events.jsonl`)).toBe(true);
  await saveAdapters(`${folder}/adapter`, tuned);
  expect((await readSafetensors(`${folder}/adapter/adapter_model.safetensors`)).tensors).toEqual((await readSafetensors(world.path("out", "adapter", "adapter_model.safetensors"))).tensors);
});

test("a model whose head does not answer the task is refused before its data are opened", async () => {
  const absent = text({ train: "absent.csv", evaluation: "absent.csv", text: "text", label: "label" });
  for (const stage of [finetune({ task: absent, peft: lora({ rank: 2 }) }), evaluate({ task: absent })])
    await expect(lastValueFrom(load(world.path("tiny"), { kernel, backend: "cpu", head: "masked-language-model" }).pipe(stage))).rejects.toMatchObject({ code: "model.head", message: expect.stringMatching(/text needs a sequence-classification head, got masked-language-model\./) as string });
});

test("createRun trains over the same loop and obeys commands", async () => {
  const model = await loadModel(world.path("tiny"), { kernel, head: "sequence-classification", labels: 2 });
  const run = createRun({ model, task: task(), peft: lora({ rank: 2 }), meters: [densityMeter()] });
  run.events.subscribe((event) => event.type === "step.completed" && event.step === 2 && run.command({ type: "stop", reason: "enough" }));
  expect(await run.fit({ epochs: 3, batchSize: 8 })).toMatchObject({ steps: 2, stopped: "enough" });
  expect(run.attachments).toHaveLength(1);
  expect(await run.evaluate()).toMatchObject({ evaluations: { dev: { examples: 8, reports: { density: { examples: 8 } } } } });
  expect(await run.fit({ maxSteps: 1, batchSize: 8 })).toMatchObject({ steps: 1 });
  expect(run.attachments).toHaveLength(1);
});

test("pretraining starts at random, learns, and leaves a model folder that fine-tuning and density take", async () => {
  const lines = world.path("corpus.txt");
  writeFileSync(lines, sentences(200, 4).map((row) => row.text).join("\n"));
  writeTokenizer(world.path("tok"));
  world.content = { model: { init: { ...TINY_CONFIG, initializer_range: 0.02 }, tokenizer: "tok" }, backend: "wasm", stages: [{ pretrain: { text: "corpus.txt", epochs: 3, holdOut: 0.2, batchSize: 8, maxLength: 16, optimizer: { adamw: { learningRate: 0.01 } }, evaluateEvery: "epoch" } }], output: "pre" };
  const { metrics } = await world.run();
  const { history } = metrics["pretrain"] as { history: { metrics: { loss: number } }[] };
  expect(history.at(-1)!.metrics.loss).toBeLessThan(0.85 * history[0]!.metrics.loss);
  const { config, source, tokenizerPath } = await openModelFolder(world.path("pre", "model"));
  expect(config).toMatchObject({ architectures: ["BertForMaskedLM"], vocab_size: 18 });
  expect(source.names()).toContain("bert.embeddings.word_embeddings.weight");
  expect(readFileSync(tokenizerPath!, "utf8")).toBe(readFileSync(world.path("tok", "tokenizer.json"), "utf8"));
  expect(existsSync(world.path("pre", "adapter"))).toBe(false);
  const report = await measureDensity({ kernel, checkpoint: world.path("pre", "model"), data: lines, backend: "cpu", limit: 10 });
  expect(report).toMatchObject({ examples: 10, decoder: null });
  expect(report.layers).toHaveLength(2);
  await expect(predictTexts({ kernel, checkpoint: world.path("pre", "model"), texts: [{ text: "x" }], backend: "cpu" }).next()).rejects.toMatchObject({ code: "model.head" });
});

test("masking chooses about the asked share, 80/10/10, never special tokens; a skipped pass gives the same batches", async () => {
  const tokenizer = await loadTokenizer(world.path("tiny"));
  const examples = sentences(400, 5).map((row) => ({ ...tokenizer.encode(row.text, undefined, 16), label: 0 }));
  const plain = makeSplit({ name: "train", examples, padId: tokenizer.padId });
  const masked = maskedSplit(plain, { tokenizer, probability: 0.15, rng: new Rng(3) });
  const all = [...masked.batches({ batchSize: 16, order: new Rng(1) })];
  const bare = [...plain.batches({ batchSize: 16, order: new Rng(1) })];
  const counts = { tokens: 0, chosen: 0, masked: 0, kept: 0 };
  for (const [b, batch] of all.entries()) {
    for (const [i, id] of bare[b]!.inputIds.entries()) {
      const label = batch.labels![i]!;
      if (id < 5) expect(label).toBe(-100);
      else counts.tokens++;
      if (label === -100) expect(batch.inputIds[i]).toBe(id);
      else {
        expect(label).toBe(id);
        counts.chosen++;
        if (batch.inputIds[i] === 4) counts.masked++;
        else if (batch.inputIds[i] === id) counts.kept++;
      }
    }
  }
  expect(counts.chosen / counts.tokens).toBeCloseTo(0.15, 1);
  expect(counts.masked / counts.chosen).toBeGreaterThan(0.75);
  expect(counts.masked / counts.chosen).toBeLessThan(0.87);
  expect(counts.kept / counts.chosen).toBeLessThan(0.17);
  expect([...masked.batches({ batchSize: 16, order: new Rng(1), skip: 7 })]).toEqual(all.slice(7));
  expect([...masked.batches({ batchSize: 16 })]).toEqual([...masked.batches({ batchSize: 16 })]);
  expect([...masked.batches({ batchSize: 16, order: new Rng(2) })][0]).not.toEqual(all[0]);
});

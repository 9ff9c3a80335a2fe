import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { beforeAll, expect, test } from "vitest";
import { benchCheckpoint, createKernel, type BenchRow } from "../src/index.ts";
import { makeSplit } from "@deft-js/data";
import { comparedQuality, namedTask, rowsOf } from "../src/inspect/bench-quality.ts";
import { measureVariant } from "../src/inspect/bench-variant.ts";
import { tempFolder, writeTinyModel } from "./support/tiny.ts";

const TSX = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
const MAIN = fileURLToPath(new URL("../../cli/src/main.ts", import.meta.url));

let folder: string;
const settings = { batches: [1, 3], seq: 8, tokens: 4, iters: 1, backend: "cpu" } as const;

beforeAll(async () => {
  folder = await writeTinyModel(join(tempFolder(), "tiny"), await createKernel());
});

test("the command writes a row for each variant and batch size, dense first", async () => {
  const file = join(folder, "..", "rows.json");
  const args = ["bench", folder, "--batch", "1,3", "--seq", "8", "--iters", "1", "--backend", "cpu", "--profile", "--json", file];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ["--conditions=@deft-js/source", "--import", TSX, MAIN, ...args]);
  expect(stderr).toBe("");
  const rows = JSON.parse(readFileSync(file, "utf8")) as BenchRow[];
  const variants = [...new Set(rows.map(({ variant }) => variant))];
  expect(variants[0]).toBe("dense");
  expect(variants).toEqual(expect.arrayContaining(["sparse", "nf4", "int8"]));
  expect(rows.map(({ variant, batch }) => [variant, batch])).toEqual(variants.flatMap((variant) => [[variant, 1], [variant, 3]]));
  for (const row of rows) {
    expect(Object.keys(row)).toEqual(["variant", "batch", "ms", "ratio", "peak_rss_mb"]);
    for (const value of [row.ms, row.ratio, row.peak_rss_mb]) expect(value).toBeGreaterThan(0);
    const dense = rows.find(({ variant, batch }) => variant === "dense" && batch === row.batch)!;
    expect(row.ratio).toBeCloseTo(row.ms / dense.ms, 10);
  }
  expect(stdout).toMatch(/^variant +batch +ms +ratio +peak MB\n/);
  expect(stdout).toMatch(/\ndense, one forward pass of batch 1\n[^]*between kernels/);
}, 600_000);

test("a variant's weights are held in its format", async () => {
  expect(await measureVariant({ checkpoint: folder, ...settings }, {})).toMatchObject({ backend: "cpu", formats: ["dense"], times: [{ batch: 1 }, { batch: 3 }] });
  expect((await measureVariant({ checkpoint: folder, ...settings }, { weights: "int8" })).formats).toContain("int8");
});

test("rows longer than the model's positions and bad settings are refused", async () => {
  await expect(measureVariant({ checkpoint: folder, ...settings, seq: 33 }, {})).rejects.toMatchObject({ code: "options.invalid", message: "bench: a row must fit the model's 32 positions, got 33 tokens. Lower seq or tokens." });
  await expect(benchCheckpoint({ checkpoint: folder, batches: [] })).rejects.toMatchObject({ code: "options.invalid" });
  await expect(benchCheckpoint({ checkpoint: folder, batches: [0] })).rejects.toMatchObject({ code: "options.invalid" });
  await expect(benchCheckpoint({ checkpoint: folder, iters: 0.5 })).rejects.toMatchObject({ code: "options.invalid" });
});

test("a model whose head does not answer the task is refused", async () => {
  const csv = join(folder, "..", "rows.csv");
  writeFileSync(csv, "text,label\ngood film,good\nbad film,bad\n");
  const quality = { task: { text: { train: csv, evaluation: csv, text: "text", label: "label" } } };
  await expect(measureVariant({ checkpoint: folder, ...settings, quality }, {})).rejects.toMatchObject({ code: "model.head", message: "bench: text needs a sequence-classification head, got masked-language-model. Load the model with that head, or name the adapter or a fine-tuned model." });
});

test("a task is named shortly, as in recipes, or as the adapter's", () => {
  const trained = { squad: { train: "s.json" } };
  expect(namedTask("glue:sst2:./data", trained)).toEqual({ glue: { name: "sst2", path: "./data" } });
  expect(namedTask("squad:./train.json", trained)).toEqual({ squad: { train: "./train.json" } });
  expect(namedTask("{ glue: { name: rte, path: d } }", undefined)).toEqual({ glue: { name: "rte", path: "d" } });
  expect(namedTask("adapter", trained)).toBe(trained);
  for (const wrong of ["adapter", "sst2", "[a]", "{ a: {}, b: {} }", "{"]) expect(() => namedTask(wrong, undefined)).toThrow(expect.objectContaining({ code: "options.invalid" }));
});

test("predictions are compared row by row, and logits by their largest difference", () => {
  const about = { split: "dev", rows: 3, metric: "accuracy", value: 1 };
  expect(comparedQuality({ ...about, predictions: [1, 0, 1], logits: [0, 1, 2, 0.5, 3, 4] }, { ...about, predictions: [1, 1, 1], logits: [0, 1, 0, 1, 3, 4] })).toEqual({ changed: 1, largestDifference: 2 });
  expect(comparedQuality({ ...about, predictions: [[5, 1], [6, 1]] }, { ...about, predictions: [[5, 1], [6]] })).toEqual({ changed: 1 });
});

test("the clock's rows are a split's tokens one after another, begun again where it ends, padding left out", () => {
  const split = makeSplit({ name: "dev", padId: 0, examples: [{ inputIds: [5, 6, 7], label: [9, 1] }, { inputIds: [8], label: [4] }] });
  const batch = rowsOf(split, { size: 2, seq: 3, labelSeq: 2 });
  expect([...batch.inputIds]).toEqual([5, 6, 7, 8, 5, 6]);
  expect([...batch.labels!]).toEqual([9, 1, 4, 9]);
  expect([...batch.attentionMask]).toEqual([1, 1, 1, 1, 1, 1]);
});

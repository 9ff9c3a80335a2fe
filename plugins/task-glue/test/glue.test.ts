import { existsSync, mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { parquetWriteBuffer } from "hyparquet-writer";
import fc from "fast-check";
import { Kernel, TASK, type OpenTask } from "@deft-js/core";
import { describe, expect, it } from "vitest";
import plugin, { glue, GLUE, GLUE_NAMES, type GlueName } from "../src/index.ts";
import { context, rowsOf, temporaryFolder } from "./support/context.ts";

const folder = temporaryFolder();
let made = 0;

/** Writes files into a folder of their own and opens the task on it. */
async function opened(name: GlueName, files: Record<string, string | ArrayBuffer>, options = {}): Promise<OpenTask> {
  const path = `${made++}`;
  mkdirSync(`${folder.path}/${path}`);
  for (const [file, content] of Object.entries(files)) folder.write(`${path}/${file}`, content);
  return glue({ name, path: `${folder.path}/${path}`, ...options }).open(context);
}

const single = [[1, 1, 2, 2], 1];
const pair = [[1, 1, 2, 2, 3, 4, 2], 1];

/** Two rows of every task in the original TSV columns: texts `a bb` (and `ccc dddd`) with class 1 or score 2.5, then class 0 or score 5. */
const TSV: Record<GlueName, string> = {
  cola: "gj04\t1\t\ta bb\ngj04\t0\t*\tccc\n",
  sst2: "sentence\tlabel\na bb\t1\nccc\t0\n",
  mrpc: "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n1\t7\t8\ta bb\tccc dddd\r\n0\t9\t10\t\"x\ty\r\n",
  qqp: "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n0\t1\t2\ta bb\tccc dddd\t1\n1\t3\t4\tx\t\t0\n",
  stsb: "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n0\tg\tf\ty\t0\ts\ts\ta bb\tccc dddd\t2.500\n1\tg\tf\ty\t0\ts\ts\tx\ty\t5\n",
  mnli: "index\tpromptID\tsentence1\tsentence2\tlabel1\tgold_label\n0\t1\ta bb\tccc dddd\tentailment\tneutral\n1\t2\tx\ty\tneutral\tentailment\n",
  qnli: "index\tquestion\tsentence\tlabel\n0\ta bb\tccc dddd\tnot_entailment\n1\tx\ty\tentailment\n",
  rte: "index\tsentence1\tsentence2\tlabel\n0\ta bb\tccc dddd\tnot_entailment\n1\tx\ty\tentailment\n",
  wnli: "index\tsentence1\tsentence2\tlabel\n0\ta bb\tccc dddd\t1\n1\tx\ty\t0\n",
};

/** The hub's column names. */
const HUB: Record<GlueName, readonly [string, string?]> = {
  cola: ["sentence"],
  sst2: ["sentence"],
  mrpc: ["sentence1", "sentence2"],
  qqp: ["question1", "question2"],
  stsb: ["sentence1", "sentence2"],
  mnli: ["premise", "hypothesis"],
  qnli: ["question", "sentence"],
  rte: ["sentence1", "sentence2"],
  wnli: ["sentence1", "sentence2"],
};

const first = (name: GlueName): unknown => {
  const [ids, label] = GLUE[name].pair === undefined ? single : pair;
  return [ids, name === "stsb" ? 2.5 : label];
};
const devNames = (name: GlueName, stem: string): string[] => (name === "mnli" ? [`${stem}_matched`, `${stem}_mismatched`] : [stem]);

describe.each(GLUE_NAMES)("%s", (name) => {
  it("opens the original TSV files", async () => {
    const dev = Object.fromEntries(devNames(name, "dev").map((stem) => [`${stem}.tsv`, TSV[name]]));
    const task = await opened(name, { "train.tsv": TSV[name], ...dev });
    expect(task.evaluation.map((split) => split.name)).toEqual(devNames(name, "dev"));
    for (const split of [task.train, ...task.evaluation]) {
      const rows = rowsOf(split);
      expect(rows).toHaveLength(2);
      expect(rows[0]).toEqual(first(name));
      expect(rows[1]?.[1]).toBe(name === "stsb" ? 5 : 0);
    }
    expect(task.labels).toEqual(GLUE[name].labels);
  });

  it("opens JSON lines and Parquet with the hub's names", async () => {
    const [text, second] = HUB[name];
    const labels = name === "stsb" ? [2.5, 5] : [1, 0];
    const columns: [string, (string | number)[]][] = [[text, ["a bb", "x"]], ...(second === undefined ? [] : [[second, ["ccc dddd", "y"]] as [string, string[]]]), ["label", labels]];
    const jsonl = labels.map((_, i) => JSON.stringify(Object.fromEntries(columns.map(([column, values]) => [column, values[i]])))).join("\n");
    const parquet = parquetWriteBuffer({
      columnData: columns.map(([column, values]) => (column !== "label" ? { name: column, data: values, type: "STRING" as const } : name === "stsb" ? { name: column, data: values, type: "DOUBLE" as const } : { name: column, data: values.map((v) => BigInt(v)), type: "INT64" as const })),
    });
    const files = (stem: string): Record<string, ArrayBuffer> => ({ [`${stem}-00000-of-00002.parquet`]: parquet, [`${stem}-00001-of-00002.parquet`]: parquet });
    const fromJson = await opened(name, Object.fromEntries(["train", ...devNames(name, "validation")].map((stem) => [`${stem}.jsonl`, jsonl])));
    const fromParquet = await opened(name, Object.assign({}, ...["train", ...devNames(name, "validation")].map(files)) as Record<string, ArrayBuffer>);
    expect(rowsOf(fromJson.train)[0]).toEqual(first(name));
    expect(rowsOf(fromParquet.train)).toEqual([...rowsOf(fromJson.train), ...rowsOf(fromJson.train)]);
    expect(fromParquet.evaluation[0]?.size).toBe(4);
  });
});

it("the classes' indices are the hub's", () => {
  expect(Object.fromEntries(GLUE_NAMES.map((name) => [name, GLUE[name].labels.join(" ")]))).toEqual({
    cola: "unacceptable acceptable",
    sst2: "negative positive",
    mrpc: "not_equivalent equivalent",
    qqp: "not_duplicate duplicate",
    stsb: "",
    mnli: "entailment neutral contradiction",
    qnli: "entailment not_entailment",
    rte: "entailment not_entailment",
    wnli: "not_entailment entailment",
  });
});

describe("files", () => {
  it("may carry the task's name in front, or stand in a folder called as the task", async () => {
    expect((await opened("sst2", { "sst2.train.tsv": TSV.sst2, "sst2.dev.tsv": TSV.sst2 })).train.size).toBe(2);
    expect((await opened("sst2", { "SST-2/train.tsv": TSV.sst2, "SST-2/dev.tsv": TSV.sst2 })).train.size).toBe(2);
    expect((await opened("rte", { "rte/train.parquet": parquetWriteBuffer({ columnData: [{ name: "sentence1", data: ["a"] }, { name: "sentence2", data: ["b"] }, { name: "label", data: [0] }] }), "rte/dev.tsv": TSV.rte })).train.size).toBe(1);
  });

  it("CoLA may have a header", async () => {
    const withHeader = "sentence\tlabel\na bb\t1\n";
    expect(rowsOf((await opened("cola", { "train.tsv": withHeader, "dev.tsv": TSV.cola })).train)).toEqual([single]);
  });

  it("of MRPC may be Microsoft's, with GLUE's list of dev rows or without", async () => {
    const files = { "msr_paraphrase_train.txt": TSV.mrpc, "msr_paraphrase_test.txt": TSV.mrpc };
    const plain = await opened("mrpc", files);
    expect([plain.train.size, plain.evaluation[0]?.size]).toEqual([2, 2]);
    const listed = await opened("mrpc", { ...files, "dev_ids.tsv": "9\t10\n" });
    expect([rowsOf(listed.train), rowsOf(listed.evaluation[0] as never)]).toEqual([[pair], [[[1, 2, 2, 1, 2], 0]]]);
    const header = TSV.mrpc.split("\n")[0]!;
    const ready = await opened("mrpc", { ...files, "train.tsv": TSV.mrpc, "dev.tsv": `${header}\n${TSV.mrpc.split("\n")[1]!}\n` }); // GLUE's own files come first
    expect([ready.train.size, ready.evaluation[0]?.size]).toEqual([2, 1]);
  });

  it("that are missing are named, with what is there", async () => {
    await expect(opened("sst2", { "training.tsv": TSV.sst2 })).rejects.toMatchObject({ code: "task.files", message: expect.stringMatching(/file train in .*got training\.tsv/) as string });
    await expect(opened("mnli", { "train.tsv": TSV.mnli, "dev_matched.tsv": TSV.mnli })).rejects.toThrow(/dev_mismatched or validation_mismatched/);
    await expect(opened("sst2", { "train-00000-of-00002.parquet": "" })).rejects.toThrow(/all 2 shards/);
  });
});

describe("malformed rows", () => {
  const sst2 = (train: string, options = {}): Promise<OpenTask> => opened("sst2", { "train.tsv": train, "dev.tsv": TSV.sst2 }, options);

  it("and labels outside the range are named by file and line", async () => {
    await expect(sst2("sentence\tlabel\na\t1\nb\n")).rejects.toMatchObject({ code: "data.row", message: expect.stringMatching(/train\.tsv:3: a row must have 2 columns/) as string });
    await expect(sst2("sentence\tlabel\na\t2\n")).rejects.toMatchObject({ code: "data.row", message: expect.stringMatching(/train\.tsv:2: the label must be one of 0 \(negative\), 1 \(positive\), got "2"/) as string });
    await expect(opened("stsb", { "train.tsv": TSV.stsb.replace("2.500", "5.01"), "dev.tsv": TSV.stsb })).rejects.toThrow(/train\.tsv:2: the score must be a number from 0 to 5/);
    await expect(opened("mnli", { "train.tsv": TSV.mnli.replace("neutral\n", "-\n"), "dev_matched.tsv": TSV.mnli, "dev_mismatched.tsv": TSV.mnli })).rejects.toThrow(/train\.tsv:2/);
    await expect(opened("sst2", { "train.jsonl": '{"sentence":"a","label":1}\n{"sentence":null,"label":1}', "dev.tsv": TSV.sst2 })).rejects.toThrow(/train\.jsonl:2: column sentence must hold a text, got null/);
  });

  it("with a wrong number of columns can be left out", async () => {
    expect(rowsOf((await sst2("sentence\tlabel\na\t1\t\nb\nccc\t0\n", { skipMalformed: true })).train)).toEqual([[[1, 3, 2], 0]]);
  });

  it("in any place are found at their line", async () => {
    const label = fc.oneof(fc.integer({ min: 2, max: 2000 }), fc.integer({ max: -1 }), fc.double({ min: 0.1, max: 0.9, noNaN: true }), fc.constantFrom("yes", "", "Positive", "NaN"));
    await fc.assert(
      fc.asyncProperty(label, fc.nat(5), async (wrong, at) => {
        const rows = Array.from({ length: 6 }, (_, i) => `text\t${i === at ? wrong : i % 2}`);
        await expect(sst2(["sentence\tlabel", ...rows].join("\n"))).rejects.toMatchObject({ code: "data.row", message: expect.stringContaining(`train.tsv:${at + 2}: the label`) as string });
      }),
      { numRuns: 25 },
    );
  });

  it("a split without rows and a file without the column are refused", async () => {
    await expect(sst2("sentence\tlabel\n")).rejects.toMatchObject({ code: "task.empty" });
    await expect(sst2("text\tlabel\na\t1\n")).rejects.toMatchObject({ code: "data.column", message: expect.stringContaining("text, label") as string });
  });
});

it("limits rows and pads to maxLength where asked", async () => {
  const task = await opened("sst2", { "train.tsv": TSV.sst2, "dev.tsv": TSV.sst2 }, { maxTrain: 1, maxEvaluation: 1, padToMaxLength: true, maxLength: 8 });
  expect([task.train.size, task.evaluation[0]?.size]).toEqual([1, 1]);
  expect(rowsOf(task.train)).toEqual([[[1, 1, 2, 2, 0, 0, 0, 0], 1]]);
  const cut = await opened("sst2", { "train.tsv": "sentence\tlabel\na b c d e f g\t0\n", "dev.tsv": TSV.sst2 }, { maxLength: 4 });
  expect(rowsOf(cut.train)[0]?.[0]).toHaveLength(4);
});

describe("metrics", () => {
  const two = (predicted: number[], labels: number[]): { logits: Float32Array; width: number; labels: Float32Array } => ({ logits: Float32Array.from(predicted.flatMap((p) => [1 - p, p])), width: 2, labels: Float32Array.from(labels) });
  const metrics = (name: GlueName, predictions: ReturnType<typeof two>): Record<string, number> => glue({ name, path: "." }).metrics!(predictions);

  it("are each task's own, by hand", () => {
    const predictions = two([1, 1, 1, 1, 0, 0, 0, 0, 0, 0], [1, 1, 1, 0, 1, 1, 0, 0, 0, 0]);
    expect(metrics("cola", predictions)).toEqual({ matthews: expect.closeTo(10 / Math.sqrt(600), 12) as number });
    for (const name of ["mrpc", "qqp"] as const) expect(metrics(name, predictions)).toEqual({ accuracy: 0.7, f1: expect.closeTo(2 / 3, 12) as number });
    for (const name of ["sst2", "qnli", "rte", "wnli"] as const) expect(metrics(name, predictions)).toEqual({ accuracy: 0.7 });
    expect(metrics("mnli", { logits: Float32Array.of(0, 1, 0, 3, 1, 2), width: 3, labels: Float32Array.of(1, 2) })).toEqual({ accuracy: 0.5 });
    expect(metrics("stsb", { logits: Float32Array.of(1, 2, 3, 4), width: 1, labels: Float32Array.of(1, 3, 2, 6) })).toEqual({ pearson: expect.closeTo(7 / Math.sqrt(70), 12) as number, spearman: expect.closeTo(0.8, 12) as number });
  });

  it("refuse logits of another width", () => {
    expect(() => metrics("mnli", two([1], [1]))).toThrow(expect.objectContaining({ code: "task.width" }));
  });
});

describe("options", () => {
  it("are validated, and kept as plain JSON", () => {
    expect(glue({ name: "rte", path: "x" }).options).toEqual({ name: "rte", path: "x", format: "labels", maxLength: 128, padToMaxLength: false, skipMalformed: false });
    expect(() => glue({ name: "xnli" as "mnli", path: "x" })).toThrow(expect.objectContaining({ code: "options.invalid" }));
    expect(() => glue({ name: "mnli", path: "x", maxlength: 3 } as never)).toThrow(/maxlength/);
  });

  it("come through the kernel", () => {
    const task = new Kernel().use(plugin).create(TASK, "glue", { name: "cola", path: "x" });
    expect([task.id, task.options["maxLength"], task.head]).toEqual(["glue", 128, "sequence-classification"]);
  });
});

const shared = resolve(import.meta.dirname, "../../../../shared/data");

it.skipIf(!existsSync(resolve(shared, "sst2.train.tsv")))("opens the whole of SST-2 (skipped where ../shared/data is absent)", async () => {
  const task = await glue({ name: "sst2", path: shared }).open(context);
  expect([task.train.size, task.evaluation.map((split) => split.size)]).toEqual([67349, [872]]);
});

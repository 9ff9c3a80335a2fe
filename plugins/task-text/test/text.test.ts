import fc from "fast-check";
import { parquetWriteBuffer } from "hyparquet-writer";
import { Kernel, TASK } from "@deft-js/core";
import { describe, expect, it } from "vitest";
import plugin, { text, type TextSettings } from "../src/index.ts";
import { context, rowsOf, temporaryFolder } from "./support/context.ts";

const folder = temporaryFolder();
const columns = { text: "review", label: "mood" } as const;
const open = (train: string, options: Partial<TextSettings> = {}): ReturnType<ReturnType<typeof text>["open"]> => text({ train, ...columns, ...options }).open(context);

const csv = folder.write("train.csv", 'review,mood\n"a, bb",good\nccc,bad\ndddd,good\n');
const dev = folder.write("dev.csv", "review,mood\neeeee,bad\n");

describe("files", () => {
  it("of every format give the same splits", async () => {
    const rows = [["a, bb", "good"], ["ccc", "bad"], ["dddd", "good"]] as const;
    const records = rows.map(([review, mood]) => ({ review, mood }));
    const parquet = parquetWriteBuffer({ columnData: [{ name: "mood", data: rows.map(([, mood]) => mood) }, { name: "review", data: rows.map(([review]) => review) }] });
    const files = [
      csv,
      folder.write("train.tsv", `mood\treview\n${rows.map(([review, mood]) => `${mood}\t${review}`).join("\n")}`),
      folder.write("train.jsonl", records.map((record) => JSON.stringify(record)).join("\n")),
      folder.write("train.json", JSON.stringify(records)),
      folder.write("train.parquet", parquet),
    ];
    for (const file of files) {
      const task = await open(file, { evaluation: dev });
      expect(task.labels).toEqual(["bad", "good"]);
      expect(rowsOf(task.train)).toEqual([[[1, 2, 2, 2], 1], [[1, 3, 2], 0], [[1, 4, 2], 1]]);
      expect(task.evaluation.map((split) => [split.name, rowsOf(split)])).toEqual([["dev", [[[1, 5, 2], 0]]]]);
    }
  });

  it("may have any name when the format is said", async () => {
    const file = folder.write("rows.data", "review\tmood\na\tx\nb\ty\nc\tx\n");
    expect((await open(file, { format: "tsv" })).labels).toEqual(["x", "y"]);
    await expect(open(file)).rejects.toMatchObject({ code: "data.format" });
  });

  it("may have a second text", async () => {
    const file = folder.write("pairs.tsv", "review\tother\tmood\na\tbb\t0\nc\td\t1\n");
    expect(rowsOf((await open(file, { pair: "other", evaluation: file })).train)[0]).toEqual([[1, 1, 2, 2, 2], 0]);
  });
});

describe("labels", () => {
  it("that are whole numbers are sorted by number", async () => {
    const file = folder.write("numbers.jsonl", [10, 9, "2", 10].map((mood) => JSON.stringify({ review: "a", mood })).join("\n"));
    const task = await open(file, { evaluation: file });
    expect(task.labels).toEqual(["2", "9", "10"]);
    expect(rowsOf(task.train).map(([, label]) => label)).toEqual([2, 1, 0, 2]);
  });

  it("stand in the order that is given", async () => {
    expect((await open(csv, { evaluation: dev, labels: ["good", "neutral", "bad"] })).labels).toEqual(["good", "neutral", "bad"]);
    const numbers = folder.write("two.csv", "review,mood\na,5\nb,1\n");
    expect(rowsOf((await open(numbers, { evaluation: numbers, labels: [5, 1] })).train).map(([, label]) => label)).toEqual([0, 1]);
  });

  it("of evaluation rows that are unknown are named by file and line", async () => {
    const unknown = folder.write("unknown.csv", "review,mood\na,good\nb,ugly\n");
    await expect(open(csv, { evaluation: unknown })).rejects.toMatchObject({ code: "data.row", message: expect.stringMatching(/unknown\.csv:3: the label must be one of bad, good, got "ugly"/) as string });
    await expect(open(csv, { evaluation: dev, labels: ["good", "fine"] })).rejects.toThrow(/train\.csv:3: the label must be one of good, fine, got "bad"/);
  });

  it("must be two at least and a thousand at most where they are found", async () => {
    await expect(open(dev, { evaluation: dev })).rejects.toMatchObject({ code: "task.labels", message: expect.stringContaining("got 1") as string });
    const many = folder.write("many.csv", `review,mood\n${Array.from({ length: 1001 }, (_, i) => `a,c${i}`).join("\n")}`);
    await expect(open(many)).rejects.toThrow(/got 1001.*regression/);
  });

  it("of a regression are numbers, and become scores", async () => {
    const file = folder.write("scores.csv", "review,mood\na,0.5\nb,-2\n");
    const task = await open(file, { evaluation: file, regression: true });
    expect([task.labels, rowsOf(task.train).map(([, score]) => score)]).toEqual([[], [0.5, -2]]);
    await expect(open(csv, { regression: true })).rejects.toThrow(/train\.csv:2: column mood must hold a number, got "good"/);
  });
});

describe("held-out rows", () => {
  const file = folder.write("hundred.tsv", `review\tmood\n${Array.from({ length: 100 }, (_, i) => `${"x".repeat(i + 1)}\t${i % 2}`).join("\n")}`);
  const ids = async (options: Partial<TextSettings>): Promise<[number[], number[]]> => {
    const task = await open(file, options);
    const firsts = (split: typeof task.train): number[] => rowsOf(split).map(([row]) => row[1] as number);
    return [firsts(task.train), firsts(task.evaluation[0] as typeof task.train)];
  };

  it("are a tenth, or the fraction that is given, and no row is in both", async () => {
    const [train, held] = await ids({});
    expect([train.length, held.length]).toEqual([90, 10]);
    expect([...train, ...held].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
    expect((await ids({ evaluationFraction: 0.25 }))[1]).toHaveLength(25);
  });

  it("are the same for the same seed only, whatever the run's generator", async () => {
    const [, held] = await ids({});
    expect((await ids({}))[1]).toEqual(held);
    expect((await ids({ seed: 43 }))[1]).not.toEqual(held);
  });

  it("leave an error where nothing is left to train on", async () => {
    await expect(open(folder.write("one.csv", "review,mood\na,x\n"), { labels: ["x", "y"] })).rejects.toMatchObject({ code: "task.empty" });
    await expect(open(folder.write("none.csv", "review,mood\n"))).rejects.toMatchObject({ code: "task.empty" });
  });
});

describe("malformed rows", () => {
  it("are named by file and line in every format", async () => {
    await expect(open(folder.write("m.csv", "review,mood\na,x\nb\n"))).rejects.toThrow(/m\.csv:3/);
    await expect(open(folder.write("m.tsv", "review\tmood\na\tx\n \ty\n"))).rejects.toThrow(/m\.tsv:3: column review must hold a text/);
    await expect(open(folder.write("m.jsonl", '{"review":"a","mood":"x"}\n{"review":"a","mood":0.5}'))).rejects.toThrow(/m\.jsonl:2: column mood must hold a class.*got 0\.5.*regression/);
    await expect(open(folder.write("c.jsonl", '{"review":"a","mood":"x"}\n{"review":"a"}'))).rejects.toMatchObject({ code: "data.column", message: expect.stringContaining("mood") as string });
    await expect(open(csv, { text: "text" })).rejects.toMatchObject({ code: "data.column", message: expect.stringContaining("review, mood") as string });
  });

  it("in any place are found at their line", async () => {
    const value = fc.oneof(fc.constant(null), fc.double({ min: 0.1, max: 0.9, noNaN: true }), fc.array(fc.integer(), { maxLength: 2 }), fc.constantFrom("", "  "));
    await fc.assert(
      fc.asyncProperty(value, fc.constantFrom("review", "mood"), fc.nat(5), async (wrong, column, at) => {
        const rows = Array.from({ length: 6 }, (_, i) => JSON.stringify({ review: "a", mood: `${i % 2}`, ...(i === at ? { [column]: wrong } : {}) }));
        await expect(open(folder.write("any.jsonl", rows.join("\n")))).rejects.toMatchObject({ code: "data.row", message: expect.stringContaining(`any.jsonl:${at + 1}: column ${column}`) as string });
      }),
      { numRuns: 40 },
    );
  });
});

describe("metrics", () => {
  it("are accuracy, with F1 for two classes, and correlations for a regression, by hand", () => {
    const task = text({ train: "x.csv", ...columns });
    const labels = Float32Array.of(1, 0, 1);
    expect(task.metrics!({ logits: Float32Array.of(0, 1, 0, 1, 1, 0), width: 2, labels })).toEqual({ accuracy: expect.closeTo(1 / 3, 12) as number, f1: 0.5 });
    expect(task.metrics!({ logits: Float32Array.of(0, 1, 0, 2, 1, 0), width: 3, labels: Float32Array.of(1, 0) })).toEqual({ accuracy: 1 });
    const regression = text({ train: "x.csv", ...columns, regression: true });
    expect(regression.metrics!({ logits: Float32Array.of(1, 2, 3, 4), width: 1, labels: Float32Array.of(1, 3, 2, 6) })).toEqual({ pearson: expect.closeTo(7 / Math.sqrt(70), 12) as number, spearman: expect.closeTo(0.8, 12) as number });
    expect(() => task.metrics!({ logits: Float32Array.of(1), width: 1, labels: Float32Array.of(1) })).toThrow(expect.objectContaining({ code: "task.width" }));
  });
});

describe("options", () => {
  it.each([
    [{ evaluation: "a.csv", evaluationFraction: 0.1 }, /evaluationFraction/],
    [{ regression: true, labels: ["a", "b"] }, /labels/],
    [{ labels: ["a", "a"] }, /once/],
    [{ evaluationFraction: 1 }, /evaluationFraction/],
    [{ tex: "x" }, /tex/],
    [{ format: "txt" }, /format/],
  ])("%j are refused", (options, message) => {
    expect(() => text({ train: "x.csv", ...columns, ...(options as object) })).toThrow(expect.objectContaining({ code: "options.invalid", message: expect.stringMatching(message) as string }));
  });

  it("come through the kernel", () => {
    const task = new Kernel().use(plugin).create(TASK, "text", { train: "x.csv", ...columns });
    expect(task.options).toEqual({ train: "x.csv", ...columns, seed: 42, regression: false, maxLength: 128, padToMaxLength: false });
  });
});

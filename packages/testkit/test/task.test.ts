import { ops, type HostBatch, type OpenTask, type Predictions, type Split, type Task, type TaskContext } from "@deft-js/core";
import { describe, expect, it } from "vitest";
import { letterTokenizer, taskChecks, type Check } from "../src/index.ts";
import { failures } from "./failures.ts";

type Flaw =
  | "options" | "empty" | "names" | "lost" | "mask" | "unshuffled" | "restless" | "skip" | "rows" | "drawn" | "label" | "metric" | "generous"
  | "unmasked" | "outside" | "negative" | "floats" | "filled" | "cut" | "classes";

/** Ids, 0 = padding, and the class. */
const ROWS = [[5, 1, 0], [6, 2, 1], [7, 0, 0], [8, 4, 1], [9, 5, 1]] as const;
const VOCABULARY = 10;

function batchOf(rows: readonly (readonly number[])[], flaw?: Flaw): HostBatch {
  const seq = rows.every((row) => row[1] === 0) || (flaw === "cut" && rows.length > 1) ? 1 : 2;
  const ids = rows.flatMap((row) => row.slice(0, seq));
  const values = ids.map((id) => (id === 0 && flaw === "filled" ? 3 : id === 9 && flaw === "outside" ? VOCABULARY : id === 9 && flaw === "negative" ? -1 : id));
  return {
    size: rows.length,
    seq,
    inputIds: (flaw === "floats" ? Float32Array : Int32Array).from(values) as Int32Array,
    attentionMask: Float32Array.from(ids, (id) => (flaw === "mask" ? 0.5 : flaw === "unmasked" ? 1 : Number(id !== 0))),
    labels: Int32Array.from(rows.map((row) => (row[2] as number) + (flaw === "label" ? 1 : 0))),
  };
}

let passes = 0;

let opens = 0;

function split(name: string, flaw?: Flaw): Split {
  return {
    name,
    size: ROWS.length,
    *batches({ batchSize, order, skip = 0 }) {
      passes++;
      const shuffled = order === undefined || flaw === "unshuffled" ? ROWS : Array.from(order.permutation(ROWS.length), (i) => ROWS[i]!);
      const rows = flaw === "restless" && passes % 2 === 0 ? [...shuffled].reverse() : shuffled;
      const turned = flaw === "drawn" && opens % 2 === 0 ? [...rows].reverse() : rows;
      const kept = flaw === "lost" ? turned.slice(1) : turned;
      for (let at = flaw === "rows" ? skip : (flaw === "skip" ? Math.max(0, skip - 1) : skip) * batchSize; at < kept.length; at += batchSize) yield batchOf(kept.slice(at, at + batchSize), flaw);
    },
  };
}

function accuracy({ logits, labels, width }: Predictions, flaw?: Flaw): number {
  if (flaw === "generous") return 1;
  const right = labels.filter((label, i) => logits[i * width + label] === Math.max(...logits.subarray(i * width, (i + 1) * width))).length;
  return (right / labels.length) * (flaw === "metric" ? 100 : 1);
}

const task = (flaw?: Flaw): Task => ({
  id: "toy",
  options: flaw === "options" ? { pattern: /x/ } : {},
  head: "sequence-classification",
  open: (): Promise<OpenTask> => (opens++, Promise.resolve({ train: split("train", flaw), evaluation: flaw === "empty" ? [] : [split("dev", flaw), split(flaw === "names" ? "dev" : "dev2", flaw)], labels: ["no", flaw === "classes" ? "no" : "yes"] })),
  metrics: (predictions) => ({ accuracy: accuracy(predictions, flaw) }),
});

const checks = (flaw?: Flaw): readonly Check[] => taskChecks({ task: () => task(flaw), context: (): TaskContext => ({ tokenizer: { ...letterTokenizer, vocabularySize: VOCABULARY }, rng: new ops.Rng(1) }), batchSize: 2 });

const CAUGHT: Readonly<Record<Flaw, string>> = {
  options: "is described by plain JSON",
  empty: "opens splits with rows under names of their own",
  names: "opens splits with rows under names of their own",
  lost: "delivers every row once, well formed",
  mask: "delivers every row once, well formed",
  unmasked: "delivers every row once, well formed",
  outside: "delivers every row once, well formed",
  negative: "delivers every row once, well formed",
  floats: "delivers every row once, well formed",
  filled: "delivers every row once, well formed",
  cut: "delivers the same row in batches of any size",
  classes: "labels within its classes",
  unshuffled: "shuffles by the generator alone",
  restless: "shuffles by the generator alone",
  skip: "skips batches as if they had been read",
  rows: "skips batches as if they had been read",
  drawn: "opens the same rows from the same seed",
  label: "labels within its classes",
  metric: "scores perfect predictions with 1 and others with less",
  generous: "scores perfect predictions with 1 and others with less",
};

describe("taskChecks", () => {
  it("passes a sound task", async () => expect(await failures(checks())).toEqual(new Map()));

  it.each(Object.entries(CAUGHT))("catches the flaw %s", async (flaw, name) => {
    const found = await failures(checks(flaw as Flaw));
    expect([...found.keys()]).toContain(name);
    expect(found.get(name)).not.toMatch(/^not a demand/);
  });

  it("has a flaw for every check", () => expect(new Set(Object.values(CAUGHT))).toEqual(new Set(checks().map(({ name }) => name))));
});

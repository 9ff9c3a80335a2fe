import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { ops, type TaskContext } from "@deft-js/core";
import { letterTokenizer, taskChecks } from "@deft-js/testkit";
import { describe, expect, it } from "vitest";
import { glue, GLUE, type GlueName } from "../src/index.ts";
import { glueTextPair } from "../src/text-to-text.ts";
import { temporaryFolder } from "./support/context.ts";

const folder = temporaryFolder();
const context: TaskContext = { tokenizer: letterTokenizer, rng: new ops.Rng(1) };
for (const name of ["sst2", "stsb"]) mkdirSync(join(folder.path, name));
for (const split of ["train", "dev"]) {
  folder.write(`sst2/${split}.tsv`, `sentence\tlabel\ngood\t1\nbad\t0\nfine ${split}\t1\nawful\t0\nso so\t0\n`);
  folder.write(`stsb/${split}.jsonl`, [0, 2.5, 5, 3.49].map((label) => JSON.stringify({ sentence1: "a", sentence2: `b${label}`, label })).join("\n"));
}
const task = (name: GlueName) => glue({ name, path: join(folder.path, name), format: "text-to-text" });

describe.each(["sst2", "stsb"] as const)("conformance of %s as text-to-text", (name) => {
  for (const { name: title, run } of taskChecks({ task: () => task(name), context: () => context })) if (!(name === "stsb" && title.startsWith("scores perfect"))) it(title, run);
});

describe("texts", () => {
  it.each([
    ["sst2", 1, "sst2 sentence: A", "positive"],
    ["cola", 0, "cola sentence: A", "unacceptable"],
    ["mrpc", 1, "mrpc sentence1: A sentence2: B", "equivalent"],
    ["qqp", 0, "qqp question1: A question2: B", "not_duplicate"],
    ["stsb", 3.49, "stsb sentence1: A sentence2: B", "3.4"],
    ["stsb", 2.5, "stsb sentence1: A sentence2: B", "2.4"],
    ["stsb", 3.5, "stsb sentence1: A sentence2: B", "3.6"],
    ["stsb", 5, "stsb sentence1: A sentence2: B", "5.0"],
    ["mnli", 1, "mnli hypothesis: B premise: A", "neutral"],
    ["qnli", 0, "qnli question: A sentence: B", "entailment"],
    ["rte", 1, "rte sentence1: A sentence2: B", "not_entailment"],
    ["wnli", 1, "wnli sentence1: A sentence2: B", "entailment"],
  ] as const)("of %s with label %s are T5's", (name, label, input, target) => {
    expect(glueTextPair(name, { text: "A", pair: "B", label, file: "f", line: 1 })).toEqual({ input, target, file: "f", line: 1 });
  });

  it("are generated up to the longest word and scored by the class that they name", async () => {
    const { evaluation, labels } = await task("sst2").open(context);
    const { generation } = evaluation[0]!;
    expect(labels).toEqual([]);
    expect(generation!.options).toEqual({ eos: 1, maxNewTokens: "positive".length + 1 });
    const say = (...words: string[]) => generation!.metrics(words.map((word) => ({ ids: [...letterTokenizer.ids(word), 1] })));
    expect(say("positive", "negative", "positive", "negative", "negative")).toEqual({ accuracy: 1 });
    expect(say(" Positive", "neg", "", "positive", "negative")).toEqual({ accuracy: 2 / 5 }); // what names no class is wrong
  });

  it("of a regression are read as scores; what is none is −1", async () => {
    const { evaluation } = await task("stsb").open(context);
    const say = (...words: string[]) => evaluation[0]!.generation!.metrics(words.map((word) => ({ ids: letterTokenizer.ids(word) })));
    expect(say("0.0", "2.6", "5.0", "3.4")["spearman"]).toBe(1);
    expect(say("0.0", "2.6", "5.0", "3.4")["pearson"]).toBeGreaterThan(0.999);
    expect(say("0.0", "2.6", "x", "3.4")["pearson"]).toBeLessThan(0.2);
  });

  it("leave labels as they are for classification heads", () => {
    expect(glue({ name: "sst2", path: "." })).toMatchObject({ head: "sequence-classification", options: { format: "labels" } });
    expect(task("sst2").metrics).toBeUndefined();
    expect(Object.keys(GLUE)).toHaveLength(9);
  });
});

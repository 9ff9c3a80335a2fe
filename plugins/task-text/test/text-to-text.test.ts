import { ops, type TaskContext } from "@deft-js/core";
import { letterTokenizer, taskChecks } from "@deft-js/testkit";
import { describe, expect, it } from "vitest";
import { text, type TextSettings } from "../src/index.ts";
import { temporaryFolder } from "./support/context.ts";

const folder = temporaryFolder();
const context: TaskContext = { tokenizer: letterTokenizer, rng: new ops.Rng(1) };
const pairs = folder.write("pairs.csv", "from,to\none,1\ntwo,2\nthree,3\nfour,4\nfive,5\n");
const moods = folder.write("moods.csv", "from,mood\ngood,1\nbad,0\nfine,1\nawful,0\nso so,0\n");
const ids = (word: string) => ({ ids: letterTokenizer.ids(word) });
const targets: TextSettings = { train: pairs, evaluation: pairs, text: "from", target: "to" };
const words: TextSettings = { train: moods, evaluation: moods, text: "from", label: "mood", words: { 0: "bad", 1: "good" }, template: "review: {text}" };

describe.each([["a target column", targets], ["label words", words]] as const)("conformance with %s", (_, settings) => {
  for (const { name, run } of taskChecks({ task: () => text(settings), context: () => context })) it(name, run);
});

describe("text-to-text", () => {
  const decoded = async (settings: TextSettings) => {
    const { train } = await text(settings).open(context);
    return [...train.batches({ batchSize: 1 })].map(({ inputIds, labels }) => `${letterTokenizer.decode([...inputIds])} → ${letterTokenizer.decode([...labels!])}`);
  };

  it("takes inputs and targets from columns, and puts inputs into the template", async () => {
    expect((await decoded(targets)).slice(0, 2)).toEqual(["one → 1", "two → 2"]);
    expect((await decoded(words)).slice(0, 2)).toEqual(["review: good → good", "review: bad → bad"]);
    expect((await decoded({ ...words, pair: "mood", template: "{pair}, {text}" }))[0]).toBe("1, good → good");
    expect((await decoded({ ...targets, pair: "to" }))[0]).toBe("one 1 → 1");
  });

  it("does not take a column's braces for a place", async () => {
    const file = folder.write("braces.csv", "from,to,more\n{pair} $& x,1,y\n");
    expect(await decoded({ ...targets, train: file, evaluation: file, pair: "more", template: "{text}|{pair}" })).toEqual(["{pair} $& x|y → 1"]);
  });

  it("measures exact matches, or the classes that words name", async () => {
    const [open, labelled] = [await text(targets).open(context), await text(words).open(context)];
    expect(open.evaluation[0]!.generation!.metrics([ids(" 1 "), ids("2"), ids("x"), ids(""), ids("55")])).toEqual({ exactMatch: 2 / 5 });
    expect(labelled.evaluation[0]!.generation!.metrics([ids("good"), ids("bad"), ids("good"), ids("good"), ids("none")])).toEqual({ accuracy: 3 / 5, f1: 0.8 }); // TP 2, FP 1, FN 0
    expect(labelled.evaluation[0]!.generation!.options).toEqual({ eos: 1, maxNewTokens: 5, beams: 1 });
  });

  it("compares with what the tokenizer can write: no model can do more", async () => {
    const lossy = { ...letterTokenizer, ids: (word: string) => letterTokenizer.ids(word.replace(/ +/g, " ").replaceAll("²", "2").replaceAll("{", "")) };
    const open = (settings: TextSettings) => text(settings).open({ ...context, tokenizer: lossy });
    const file = folder.write("lossy.csv", "from,to\none,x²\ntwo,{a}\n");
    const written = (words: string[]) => words.map((word) => ({ ids: [...lossy.ids(word), 1] }));
    const { evaluation } = await open({ ...targets, train: file, evaluation: file });
    expect(evaluation[0]!.generation!.metrics(written(["x²", "{a}"]))).toEqual({ exactMatch: 1 });
    const labelled = await open({ ...words, words: { 0: "very  bad", 1: "good" } });
    expect(labelled.evaluation[0]!.generation!.metrics(written(["good", "very  bad", "good", "very  bad", "very  bad"]))).toEqual({ accuracy: 1, f1: 1 });
    await expect(open({ ...words, words: { 0: "{", 1: "good" } })).rejects.toMatchObject({ code: "task.words", message: expect.stringContaining("nothing is left") });
    await expect(open({ ...words, words: { 0: "x²", 1: "X2" } })).rejects.toMatchObject({ code: "task.words", message: expect.stringContaining("must differ") });
  });

  it.each([
    [{ label: "mood" }, "label"], [{ target: undefined }, "label"], [{ words: { a: "x" } }, "words"], [{ regression: true }, "target"], [{ labels: ["a", "b"] }, "target"], [{ template: "none" }, "template"],
  ])("refuses %j beside a target", (change, path) => {
    expect(() => text({ ...targets, ...change } as TextSettings)).toThrow(expect.objectContaining({ code: "options.invalid", message: expect.stringContaining(path) }));
  });

  it.each([
    [{ ...words, maxTargetLength: 5 }, "maxTargetLength"], [{ train: moods, text: "from", label: "mood", beams: 2 }, "beams"], [{ ...words, template: "{text} {pair}" }, "template"], [{ ...words, pair: "mood" }, "template"],
  ])("refuses what would do nothing: %j", (settings, path) => {
    expect(() => text(settings as TextSettings)).toThrow(expect.objectContaining({ code: "options.invalid", message: expect.stringContaining(path) }));
  });

  it("puts a text to the model as its rows were, and a text alone into the template's own", () => {
    expect(text(words).input!("fine")).toBe("review: fine");
    expect(text({ ...targets, pair: "to" }).input!("a", "b")).toBe("a b");
    expect(text({ ...targets, pair: "to" }).input!("a")).toBe("a");
    expect(text({ train: moods, text: "from", label: "mood" }).input).toBeUndefined();
  });

  it("takes so many rows of each part", async () => {
    const { train, evaluation } = await text({ ...targets, maxTrain: 2, maxEvaluation: 1 }).open(context);
    expect([train.size, evaluation[0]!.size]).toEqual([2, 1]);
  });

  it("refuses classes without a word, equal words, and templates without anything to generate", async () => {
    await expect(text({ ...words, words: { 1: "good" } }).open(context)).rejects.toMatchObject({ code: "task.words", message: expect.stringContaining("got none for 0") });
    await expect(text({ ...words, words: { 0: "bad", 1: "good", 3: "other" } }).open(context)).rejects.toMatchObject({ code: "task.words", message: expect.stringContaining("of the classes 0, 1, got one for 3") });
    expect(() => text({ ...words, words: { 0: "A", 1: "a" } })).toThrow(expect.objectContaining({ code: "options.invalid" }));
    expect(() => text({ train: moods, text: "from", label: "mood", template: "x {text}" })).toThrow(expect.objectContaining({ code: "options.invalid" }));
  });
});

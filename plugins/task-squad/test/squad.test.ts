import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kernel, ops, TASK, type TaskContext } from "@deft-js/core";
import { loadTokenizer } from "@deft-js/data";
import { letterTokenizer, taskChecks } from "@deft-js/testkit";
import { afterAll, describe, expect, it } from "vitest";
import plugin, { answerF1, exactAnswer, normalizedAnswer, squad, squadMetrics, type SquadSettings } from "../src/index.ts";

const folder = mkdtempSync(join(tmpdir(), "deft-squad-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const write = (name: string, content: unknown): string => {
  writeFileSync(join(folder, name), typeof content === "string" ? content : JSON.stringify(content));
  return join(folder, name);
};
const context: TaskContext = { tokenizer: letterTokenizer, rng: new ops.Rng(1) };

const qa = (id: string, text: string, of: string, more = {}) => ({ id, question: `which ${id}?`, answers: [{ text, answer_start: of.indexOf(text) }], ...more });
const none = (id: string) => ({ id, question: `what ${id}?`, answers: [], plausible_answers: [{ text: "x", answer_start: 0 }], is_impossible: true });
const article = (title: string, paragraphs: [string, object[]][]) => ({ title, paragraphs: paragraphs.map(([text, qas]) => ({ context: text, qas })) });
const A = "The cat sat on the mat.";
const B = "A dog ran off.";
const v1 = write("v1.json", { version: "1.1", data: [article("a", [[A, [qa("1", "cat", A), qa("2", "the mat", A)]]]), article("b", [[B, [qa("3", "dog", B)]]])] });
const v2 = write("v2.json", { version: "v2.0", data: [article("a", [[A, [qa("1", "cat", A), none("4")]]]), article("b", [[B, [qa("3", "dog", B), none("5")]]])] });
const open = (train: string, more: Partial<SquadSettings> = {}) => squad({ train, evaluation: train, stride: 8, ...more }).open(context);
const texts = async (train: string, more: Partial<SquadSettings> = {}) => {
  const task = await open(train, more);
  const of = (split: typeof task.train) => [...split.batches({ batchSize: 1 })].map(({ inputIds, labels }) => `${letterTokenizer.decode([...inputIds])} → ${letterTokenizer.decode([...labels!])}`);
  return { train: of(task.train), dev: of(task.evaluation[0]!) };
};
const say = (...words: [string, number?][]) => words.map(([word, score = -1]) => ({ ids: [...letterTokenizer.ids(word), 1], score }));

describe.each([["1.1", v1], ["2.0", v2]])("conformance with version %s", (_, file) => {
  for (const { name, run } of taskChecks({ task: () => squad({ train: file, evaluation: file, stride: 8 }), context: () => context, batchSize: 2 })) it(name, run);
});

describe("official normalisation, by hand", () => {
  it.each([
    ["The  Cat!", "cat"], ["an A-the \"test\"", "athe test"], ["Thesis of a theatre", "thesis of theatre"], ["1,000 (thousand)", "1000 thousand"], ["the", ""], ["Théâtre an été", "théâtre été"], ["a_b the\tx\n", "ab x"], ["x\u0085y\u001fz", "x y z"], ["x\ufeffy", "x\ufeffy"],
  ])("%j is %j", (text, plain) => expect(normalizedAnswer(text)).toBe(plain));

  it("of F1: shared words over all words, as often as they stand", () => {
    expect(answerF1("the cat sat", "cat")).toBeCloseTo(2 / 3, 12); // P 1/2, R 1
    expect(answerF1("cat cat dog", "cat bird")).toBeCloseTo(0.4, 12); // shared 1, P 1/3, R 1/2
    expect(answerF1("to be or not to be", "to be to")).toBeCloseTo(2 / 3, 12); // shared 3, P 1/2, R 1
    expect(answerF1("x", "y")).toBe(0);
    expect([answerF1("", ""), answerF1("the", ""), answerF1("x", ""), answerF1("", "x")]).toEqual([1, 1, 0, 0]);
    expect([exactAnswer("The Cat.", "cat"), exactAnswer("cats", "cat")]).toEqual([1, 0]);
  });

  it("of a set: the best over right answers, and unanswerable questions apart", () => {
    expect(squadMetrics([{ predicted: "cat sat", right: ["cat", "a cat sat"] }, { predicted: "dog", right: ["bird"] }])).toEqual({ f1: 0.5, exactMatch: 0.5 });
    const mixed = squadMetrics([{ predicted: "cat", right: ["cat"] }, { predicted: "", right: ["the big dog"] }, { predicted: "", right: [] }, { predicted: "x", right: [] }, { predicted: "", right: ["the"] }]);
    expect(mixed).toEqual({ f1: 3 / 5, exactMatch: 3 / 5, hasAnswerF1: 2 / 3, hasAnswerExactMatch: 2 / 3, noAnswerF1: 1 / 2, noAnswerExactMatch: 1 / 2 });
    expect(squadMetrics([{ predicted: "", right: ["the"] }])).toEqual({ f1: 1, exactMatch: 1 }); // an answer of which nothing is left is one
  });
});

describe("examples", () => {
  it("are question and context with the first right answer, or nothing", async () => {
    expect((await texts(v1)).train).toEqual([`question: which 1? context: ${A} → cat`, `question: which 2? context: ${A} → the mat`, `question: which 3? context: ${B} → dog`]);
    expect((await texts(v2)).dev[1]).toBe(`question: what 4? context: ${A} → `);
  });

  it("are windows that share the stride; where all questions have answers, only those that hold one are trained on", async () => {
    const { train, dev } = await texts(v1, { maxLength: 46, stride: 8, maxTrain: 1, maxEvaluation: 1 }); // 27 letters before the context and the end token leave 18 of 24
    expect(dev).toEqual(["question: which 1? context: The cat sat on th → cat", "question: which 1? context:at on the mat. → "]);
    expect(train).toEqual(dev.slice(0, 1));
    expect((await texts(v2, { maxLength: 46, stride: 8, maxTrain: 1 })).train).toHaveLength(1);
    expect((await texts(v2, { maxLength: 46, stride: 8 })).train.filter((row) => row.endsWith("→ "))).toHaveLength(4);
  });

  it("count the likeliest answer of a question's windows, and nothing only when all say so", async () => {
    const { evaluation } = await open(v1, { maxLength: 46, stride: 8, maxEvaluation: 1 });
    const { metrics } = evaluation[0]!.generation!;
    expect(metrics(say(["cat", -2], ["", -0.1]))).toEqual({ f1: 1, exactMatch: 1 });
    expect(metrics(say(["cat", -2], ["dog", -0.1]))).toEqual({ f1: 0, exactMatch: 0 });
    expect(metrics(say(["", -2], ["the", -0.1]))).toEqual({ f1: 0, exactMatch: 0 });
  });

  it("find answers by code points, as files count them", async () => {
    const text = "I love 😀 Paris, not 𝒳 Paris.";
    const at = (answer_start: number, name: string) => write(name, { data: [article("a", [[text, [{ ...qa("1", "Paris", text), answers: [{ text: "Paris", answer_start }] }]]])] });
    const holding = async (answer_start: number, name: string) => (await texts(at(answer_start, name), { maxLength: 45, stride: 8 })).train;
    for (const row of await holding(9, "first.json")) expect(row).toContain("Paris,"); // Python: text[9:14]
    for (const row of await holding(22, "second.json")) expect(row).toContain("Paris. → Paris");
    await expect(open(at(10, "units.json"))).rejects.toMatchObject({ code: "data.row", message: expect.stringContaining("code points") });
  });

  it("hold whole articles out when there is one file", async () => {
    const held = await squad({ train: v1, stride: 8 }).open(context);
    expect([held.train.size, held.evaluation[0]!.size].sort()).toEqual([1, 2]);
    const one = write("one.json", { data: [article("a", [[A, [qa("1", "cat", A)]]])] });
    await expect(squad({ train: one, stride: 8 }).open(context)).rejects.toMatchObject({ code: "task.articles" });
  });
});

describe("malformed data", () => {
  const data = (change: (qas: Record<string, unknown>) => void) => {
    const one = { ...qa("1", "cat", A) };
    change(one);
    return { data: [article("a", [[A, [one]]])] };
  };
  it.each([
    ["no JSON", "{", "data.file", "JSON"],
    ["no data", { version: "1.1" }, "data.row", "data must"],
    ["no context", { data: [{ paragraphs: [{ qas: [] }] }] }, "data.row", "data.0.paragraphs.0.context"],
    ["an answer elsewhere", data((q) => (q["answers"] = [{ text: "cat", answer_start: 5 }])), "data.row", "data.0.paragraphs.0.qas.0.answers.0"],
    ["an answer that is a number", data((q) => (q["answers"] = [{ text: 3, answer_start: 5 }])), "data.row", "data.0.paragraphs.0.qas.0.answers.0.text"],
    ["no answer and no mark", data((q) => (q["answers"] = [])), "data.row", "data.0.paragraphs.0.qas.0.answers"],
    ["no question", data((q) => (q["question"] = " ")), "data.row", "data.0.paragraphs.0.qas.0.question"],
    ["nothing", { data: [] }, "task.empty", "questions"],
  ])("is named by file and place: %s", async (name, content, code, message) => {
    const file = write(`bad ${name}.json`, content);
    await expect(open(file)).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
    await expect(open(file)).rejects.toThrow(file);
  });

  it("that leaves no room for windows, and options that do not go together, are refused", async () => {
    await expect(open(v1, { maxLength: 40, stride: 20 })).rejects.toMatchObject({ code: "task.stride" });
    expect(() => squad({ train: v1, evaluation: v1, evaluationFraction: 0.5 })).toThrow(expect.objectContaining({ code: "options.invalid" }));
    expect(() => squad({ train: v1, window: 3 } as never)).toThrow(/window/);
    expect(new Kernel().use(plugin).create(TASK, "squad", { train: v1 })).toMatchObject({ id: "squad", head: "language-model", options: { maxLength: 384, stride: 128 } });
  });
});

const shared = join(import.meta.dirname, "../../../../shared");

describe.skipIf(!existsSync(join(shared, "data/squad2.subset.json")))("the real subset (skipped where ../shared is absent)", () => {
  it("opens with T5's tokenizer; its own first answers score 1 where a window holds them", async () => {
    const tokenizer = await loadTokenizer(join(shared, "checkpoints/t5-mini"));
    const task = await squad({ train: join(shared, "data/squad2.subset.json"), maxEvaluation: 60 }).open({ tokenizer, rng: new ops.Rng(1) });
    const [dev] = task.evaluation;
    const rows = [...dev!.batches({ batchSize: 8 })].flatMap(({ size, seq, labels, labelSeq = 0 }) => {
      expect(seq).toBeLessThanOrEqual(384);
      return Array.from({ length: size }, (_, row) => ({ ids: [...labels!.subarray(row * labelSeq, (row + 1) * labelSeq)].filter((id) => id !== -100), score: 0 }));
    });
    const metrics = dev!.generation!.metrics(rows);
    expect(metrics["noAnswerF1"]).toBe(1);
    expect(metrics["hasAnswerF1"]).toBeGreaterThan(0.97); // answers that the vocabulary cannot spell come back changed
  });
});

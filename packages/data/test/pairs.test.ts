import { DeftError } from "@deft-js/core";
import { letterTokenizer } from "@deft-js/testkit";
import { describe, expect, it } from "vitest";
import { encodePairs, endToken, exactMatch, makeSplit, textGeneration, wordIndices } from "../src/index.ts";

const at = { file: "f", line: 3 };
const ids = (text: string): number[] => letterTokenizer.ids(text);
const generation = textGeneration({ tokenizer: letterTokenizer, options: { maxNewTokens: 3 }, score: (texts) => ({ first: Number(texts[0] === "x") }) });
const split = (more = {}) => makeSplit({ name: "dev", padId: 0, generation, examples: encodePairs([{ input: "ab", target: "x", ...at }, { input: "c", target: "yz", ...at }], { tokenizer: letterTokenizer, maxLength: 8, maxTargetLength: 3 }), ...more });

describe("text pairs", () => {
  it("are inputs with special tokens and targets that end with the end token, both cut", () => {
    expect(encodePairs([{ input: "abcd", target: "wxyz", ...at }], { tokenizer: letterTokenizer, maxLength: 3, maxTargetLength: 3 })).toEqual([{ inputIds: [...ids("ab"), 1], label: [...ids("wx"), 1] }]);
    expect(encodePairs([{ input: "a", target: "", ...at }], { tokenizer: letterTokenizer, maxLength: 3, maxTargetLength: 3 })[0]!.label).toEqual([1]);
  });

  it("need an end token, and name their place", () => {
    const none = { ...letterTokenizer, special: () => undefined };
    expect(() => endToken(none)).toThrow(expect.objectContaining({ code: "tokenizer.eos" }));
    const failing = { ...letterTokenizer, encode: () => { throw new DeftError("tokenizer.maxLength", "no room"); } };
    expect(() => encodePairs([{ input: "a", target: "b", ...at }], { tokenizer: failing, maxLength: 1, maxTargetLength: 2 })).toThrow(expect.objectContaining({ code: "tokenizer.maxLength", message: "f:3: no room" }));
  });

  it("are laid out apart for an encoder-decoder", () => {
    const [batch] = [...split().batches({ batchSize: 2 })];
    expect(batch).toMatchObject({ size: 2, seq: 3, labelSeq: 3 });
    expect([...batch!.inputIds]).toEqual([...ids("ab"), 1, ...ids("c"), 1, 0]);
    expect([...batch!.labels!]).toEqual([...ids("x"), 1, -100, ...ids("yz"), 1]);
  });

  it("are laid out in one row for a decoder, the loss on the target alone", () => {
    const [batch] = [...split().batches({ batchSize: 2, form: "causal" })];
    expect([...batch!.inputIds]).toEqual([...ids("ab"), 1, ...ids("x"), 1, ...ids("c"), 1, ...ids("yz"), 1]);
    expect([...batch!.labels!]).toEqual([-100, -100, -100, ...ids("x"), 1, -100, -100, ...ids("yz"), 1]);
    expect([...batch!.attentionMask]).toEqual(Array(10).fill(1));
    expect(batch!.labelSeq).toBe(batch!.seq);
  });

  it("are prompts padded on the left to go on from", () => {
    const [batch] = [...split().batches({ batchSize: 2, form: "prompts" })];
    expect([...batch!.inputIds]).toEqual([...ids("ab"), 1, 0, ...ids("c"), 1]);
    expect([...batch!.attentionMask]).toEqual([1, 1, 1, 0, 1, 1]);
    expect(batch!.labels).toBeUndefined();
  });

  it("leave other splits' layout alone", () => {
    const classes = makeSplit({ name: "dev", padId: 0, examples: [{ inputIds: [5, 6], label: 1 }] });
    expect([...classes.batches({ batchSize: 1, form: "causal" })]).toEqual([...classes.batches({ batchSize: 1 })]);
  });
});

describe("generated texts", () => {
  it("end with what is learned as their end, unless something else is said", () => {
    expect(generation.options).toEqual({ eos: 1, maxNewTokens: 3 });
    expect(textGeneration({ tokenizer: letterTokenizer, options: { eos: [] }, score: () => ({}) }).options).toEqual({ eos: [] });
  });

  it("are decoded and trimmed before they are scored", () => {
    expect(split().generation!.metrics([{ ids: [...ids(" x "), 1] }])).toEqual({ first: 1 });
    expect(split().generation!.metrics([{ ids: [] }])).toEqual({ first: 0 });
  });

  it("name a word whatever their case, or none", () => {
    expect([...wordIndices(["Yes", " no ", "yesno", ""], ["yes", "no"])]).toEqual([0, 1, -1, -1]);
  });

  it("match their reference exactly but for white space", () => {
    expect(exactMatch(["a  b", "c", "D"], ["a b", "c ", "d"])).toBeCloseTo(2 / 3, 12);
    expect(() => exactMatch([], [])).toThrow(expect.objectContaining({ code: "metric.input" }));
    expect(() => exactMatch(["a"], ["a", "b"])).toThrow(expect.objectContaining({ code: "metric.input" }));
  });
});

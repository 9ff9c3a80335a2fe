import { ops, type Encoded, type HostBatch } from "@deft-js/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeTexts, makeSplit, tokenizerFromJson } from "../src/index.ts";
import { bertJson } from "./support/tokenizers.ts";

const example = (length: number, label: number | number[] = length): Encoded => ({ inputIds: Array.from({ length }, (_, i) => length * 10 + i), label });
const split = (lengths: number[], options = {}) => makeSplit({ name: "train", examples: lengths.map((length) => example(length)), padId: 7, ...options });
const labels = (batches: Iterable<HostBatch>): number[][] => [...batches].map((batch) => [...(batch.labels ?? [])]);

describe("a batch", () => {
  it("is padded on the right to its longest example", () => {
    const [batch] = split([2, 3]).batches({ batchSize: 2 });
    expect(batch).toEqual({
      size: 2,
      seq: 3,
      inputIds: Int32Array.of(20, 21, 7, 30, 31, 32),
      attentionMask: Float32Array.of(1, 1, 0, 1, 1, 1),
      tokenTypeIds: undefined,
      labels: Int32Array.of(2, 3),
    });
  });

  it("is padded to a fixed length where one is given, with token types", () => {
    const examples: Encoded[] = [{ inputIds: [1, 2], tokenTypeIds: [0, 1], label: 0.5 }];
    const [batch] = makeSplit({ name: "dev", examples, padId: 0, padTo: 4, target: "score" }).batches({ batchSize: 8 });
    expect(batch).toEqual({ size: 1, seq: 4, inputIds: Int32Array.of(1, 2, 0, 0), attentionMask: Float32Array.of(1, 1, 0, 0), tokenTypeIds: Int32Array.of(0, 1, 0, 0), scores: Float32Array.of(0.5) });
  });

  it("holds label ids with −100 beyond their end", () => {
    const [batch] = makeSplit({ name: "train", examples: [example(1, [4]), example(1, [5, 6])], padId: 0 }).batches({ batchSize: 2 });
    expect(batch).toMatchObject({ labels: Int32Array.of(4, -100, 5, 6), labelSeq: 2 });
  });
});

describe("a pass", () => {
  it("goes in file order, the last batch shorter", () => {
    const batches = [...split([1, 2, 3, 4, 5]).batches({ batchSize: 2 })];
    expect(batches.map((batch) => [...(batch.labels ?? [])])).toEqual([[1, 2], [3, 4], [5]]);
    expect(batches.map((batch) => batch.seq)).toEqual([2, 4, 5]);
  });

  it("is a permutation of the split, the same for the same seed, with every bucketing, and skip leaves the rest as it was", () => {
    const arbitrary = fc.record({ lengths: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 60 }), batchSize: fc.integer({ min: 1, max: 7 }), seed: fc.nat(1000), bucket: fc.boolean(), skip: fc.nat(12) });
    fc.assert(
      fc.property(arbitrary, ({ lengths, batchSize, seed, bucket, skip }) => {
        const train = makeSplit({ name: "train", examples: lengths.map((length, i) => example(length, i)), padId: 0 });
        const pass = (skipped: number): number[][] => labels(train.batches({ batchSize, order: new ops.Rng(seed), bucket, skip: skipped }));
        const whole = pass(0);
        expect(whole.flat().sort((a, b) => a - b)).toEqual(lengths.map((_, i) => i));
        expect(whole).toHaveLength(Math.ceil(lengths.length / batchSize));
        expect(pass(0)).toEqual(whole);
        expect(pass(skip)).toEqual(whole.slice(skip));
      }),
    );
  });

  it("leaves the generator in the same state for every skip", () => {
    const [first, second] = [new ops.Rng(3), new ops.Rng(3)];
    split([1, 2, 3, 4]).batches({ batchSize: 2, order: first });
    split([1, 2, 3, 4]).batches({ batchSize: 2, order: second, skip: 2 });
    expect(first.state).toEqual(second.state);
    expect(first.state.counter).toBeGreaterThan(0);
  });

  it("can be iterated twice with the same batches", () => {
    const pass = split([1, 2, 3, 4, 5, 6]).batches({ batchSize: 2, order: new ops.Rng(1) });
    expect(labels(pass)).toEqual(labels(pass));
  });

  it("with bucketing pads less, and still shuffles", () => {
    const lengths = Array.from({ length: 400 }, (_, i) => 1 + ((i * 37) % 50));
    const padded = (bucket: boolean): number => [...split(lengths).batches({ batchSize: 8, order: new ops.Rng(5), bucket })].reduce((sum, batch) => sum + batch.size * batch.seq, 0);
    expect(padded(true)).toBeLessThan(0.65 * padded(false));
    const seqs = [...split(lengths).batches({ batchSize: 8, order: new ops.Rng(5), bucket: true })].map((batch) => batch.seq);
    expect(seqs).not.toEqual([...seqs].sort((a, b) => a - b));
  });
});

it("refuses an empty split, a short padTo and a wild batch size", () => {
  expect(() => split([])).toThrow(expect.objectContaining({ code: "task.empty" }));
  expect(() => split([5], { padTo: 4 })).toThrow(expect.objectContaining({ code: "data.padTo" }));
  expect(() => split([5]).batches({ batchSize: 0 })).toThrow(expect.objectContaining({ code: "data.batchSize" }));
  expect(() => split([5]).batches({ batchSize: 1, skip: -1 })).toThrow(expect.objectContaining({ code: "data.skip" }));
});

it("encodes texts with their labels and names the row whose encoding fails", () => {
  const tokenizer = tokenizerFromJson(bertJson());
  const row = { text: "good film", label: 1, file: "f.tsv", line: 9 };
  expect(encodeTexts([row], { tokenizer, maxLength: 8 })).toEqual([{ inputIds: [2, 9, 11, 3], tokenTypeIds: [0, 0, 0, 0], label: 1 }]);
  expect(() => encodeTexts([row], { tokenizer, maxLength: 2 })).toThrow(/^f\.tsv:9: tokenizer: maxLength/);
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pruneOptions, smallestByRowSums, smallestOfGroups, smallestOfMatrix, smallestOfRows, type Scores } from "../src/index.ts";
import { parsePattern, shareOf } from "../src/selection.ts";

const scores = (values: readonly number[], dOut: number): Scores => ({ values: Float32Array.from(values), dOut, dIn: values.length / dOut });

/** Distinct scores, so that no rule depends on ties. */
const distinct = fc
  .tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 24 }), fc.integer({ min: 0, max: 1 << 30 }))
  .map(([dOut, dIn, seed]) => scores(Array.from({ length: dOut * dIn }, (_, i) => ((i * 7919 + seed) % 104_729) + i / 4096), dOut));

describe("selection", () => {
  it("takes the smallest of each row, rounding the count down", () => {
    expect([...smallestOfRows(scores([3, 1, 2, 5, 9, 8, 7, 6], 2), 0.5)]).toEqual([0, 1, 1, 0, 0, 0, 1, 1]);
    expect([...smallestOfRows(scores([3, 1, 2, 5], 1), 0.3)]).toEqual([0, 1, 0, 0]);
  });

  it("takes the first of equal scores", () => {
    expect([...smallestOfRows(scores([1, 1, 1, 1], 1), 0.5)]).toEqual([1, 1, 0, 0]);
  });

  it("takes m − n of every m neighbours, and leaves n of a shorter last group", () => {
    expect([...smallestOfGroups(scores([4, 1, 3, 2, 9, 8, 5], 1), { keep: 2, of: 4 })]).toEqual([0, 1, 0, 1, 0, 0, 1]);
  });

  it("takes everything up to the threshold of the whole matrix, one more than the share", () => {
    expect([...smallestOfMatrix(scores([4, 1, 3, 2], 2), 0.5)]).toEqual([0, 1, 1, 1]);
    expect([...smallestOfMatrix(scores([4, 1, 3, 2], 2), 0)]).toEqual([0, 0, 0, 0]);
  });

  it("lets rows differ where the share is found over the matrix", () => {
    const removed = smallestByRowSums(scores([1, 1.1, 1.2, 97, 24, 25, 26, 27], 2), 0.5);
    expect([...removed]).toEqual([1, 1, 1, 0, 1, 0, 0, 0]); // α = 0.4: 3.3 ≤ 0.4·100.3 < 100.3, and 24 ≤ 0.4·102 < 49
  });

  it("leaves the largest of each group, whatever the scores", () => {
    fc.assert(
      fc.property(distinct, (s) => {
        const removed = smallestOfGroups(s, { keep: 2, of: 4 });
        for (let row = 0; row < s.dOut; row++)
          for (let from = 0; from < s.dIn; from += 4) {
            const group = Array.from({ length: Math.min(4, s.dIn - from) }, (_, i) => row * s.dIn + from + i);
            const [gone, kept] = [group.filter((i) => removed[i] === 1), group.filter((i) => removed[i] === 0)];
            expect(kept).toHaveLength(Math.min(2, group.length));
            for (const i of gone) for (const j of kept) expect(s.values[i]).toBeLessThan(s.values[j] as number);
          }
      }),
    );
  });

  it("removes the same share of every row", () => {
    fc.assert(
      fc.property(distinct, fc.double({ min: 0, max: 0.99, noNaN: true }), (s, share) => {
        const removed = smallestOfRows(s, share);
        for (let row = 0; row < s.dOut; row++) expect(shareOf(removed.subarray(row * s.dIn, (row + 1) * s.dIn))).toBeCloseTo(Math.trunc(s.dIn * share) / s.dIn, 12);
      }),
    );
  });

  it("refuses patterns that remove nothing or everything", () => {
    for (const pattern of ["2:4:8", "a:4", "4:4", "0:4", "4:2", "2:65"]) expect(() => parsePattern(pattern)).toThrow(/n:m/);
  });
});

describe("options", () => {
  it("take one method, and a sparsity or a pattern", () => {
    expect(pruneOptions({ wanda: {} }).wanda?.calibration.samples).toBe(128);
    expect(() => pruneOptions({})).toThrow(/one of them/);
    expect(() => pruneOptions({ wanda: {}, magnitude: {} })).toThrow(/one of them/);
    expect(() => pruneOptions({ magnitude: { sparsity: 0.5, pattern: "2:4" } })).toThrow(/exclude/);
    expect(() => pruneOptions({ wanda: { pattern: "2:4", variant: true } })).toThrow(/variant/);
    expect(() => pruneOptions({ magnitude: { sparsity: 1 } })).toThrow(/sparsity/);
    expect(() => pruneOptions({ magnitude: { target: "(" } })).toThrow(/regular expression/);
    expect(() => pruneOptions({ magnitude: { portion: 0.5 } as never })).toThrow(/portion/i);
  });
});

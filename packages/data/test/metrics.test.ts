import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { accuracy, argmaxRows, averageRanks, f1, matthews, pearson, spearman } from "../src/index.ts";

describe("classification, by hand: TP 3, FP 1, FN 2, TN 4", () => {
  const input = { predictions: [1, 1, 1, 1, 0, 0, 0, 0, 0, 0], targets: [1, 1, 1, 0, 1, 1, 0, 0, 0, 0] };

  it("accuracy is 7/10", () => expect(accuracy(input)).toBeCloseTo(0.7, 15));
  it("F1 is 6/9, of class 0 8/11", () => {
    expect(f1(input)).toBeCloseTo(6 / 9, 15);
    expect(f1({ ...input, positive: 0 })).toBeCloseTo(8 / 11, 15);
  });
  it("Matthews is (3·4 − 1·2)/√(4·5·5·6)", () => expect(matthews(input)).toBeCloseTo(10 / Math.sqrt(600), 15));
});

it("Matthews of three classes follows Gorodkin's R_K", () => {
  // confusion, rows true: [2 1 0; 0 2 1; 1 0 2]; c = 6, s = 9, p = t = 3 3 3: (54 − 27) / (81 − 27)
  expect(matthews({ targets: [0, 0, 0, 1, 1, 1, 2, 2, 2], predictions: [0, 0, 1, 1, 1, 2, 2, 2, 0] })).toBeCloseTo(0.5, 15);
});

it("a collapsed classifier has F1 and Matthews 0, and a perfect one 1", () => {
  const targets = [1, 0, 1, 0];
  expect(f1({ predictions: [0, 0, 0, 0], targets })).toBe(0);
  expect(matthews({ predictions: [0, 0, 0, 0], targets })).toBe(0);
  expect([accuracy, f1, matthews].map((metric) => metric({ predictions: targets, targets }))).toEqual([1, 1, 1]);
  expect(matthews({ predictions: [0, 1, 0, 1], targets })).toBe(-1);
});

describe("correlation, by hand", () => {
  // x − x̄ = −1.5 −0.5 0.5 1.5, y − ȳ = −2 0 −1 3: Σxy = 7, Σx² = 5, Σy² = 14
  const input = { predictions: [1, 2, 3, 4], targets: [1, 3, 2, 6] };
  it("Pearson is 7/√70", () => expect(pearson(input)).toBeCloseTo(7 / Math.sqrt(70), 15));
  it("Spearman is 1 − 6·2/(4·15)", () => expect(spearman(input)).toBeCloseTo(0.8, 15));
  it("equal values share their ranks", () => {
    expect([...averageRanks([10, 20, 20, 5, 20])]).toEqual([2, 4, 4, 1, 4]);
    // ranks 1 2.5 2.5 4 against 1 2 3 4: Σxy = 4.5, Σx² = 4.5, Σy² = 5
    expect(spearman({ predictions: [1, 2, 2, 3], targets: [1, 2, 3, 4] })).toBeCloseTo(4.5 / Math.sqrt(22.5), 15);
  });
  it("a constant prediction has 0", () => expect([pearson, spearman].map((metric) => metric({ predictions: [2, 2, 2], targets: [1, 2, 3] }))).toEqual([0, 0]));
});

it("Spearman does not change under a growing function, and is odd", () => {
  const values = fc.array(fc.tuple(fc.integer({ min: -5, max: 5 }), fc.integer({ min: -5, max: 5 })), { minLength: 2, maxLength: 20 });
  fc.assert(
    fc.property(values, (pairs) => {
      const [predictions, targets] = [pairs.map(([x]) => x), pairs.map(([, y]) => y)];
      expect(spearman({ predictions: predictions.map((x) => x ** 3), targets })).toBe(spearman({ predictions, targets }));
      expect(spearman({ predictions: predictions.map((x) => -x), targets })).toBeCloseTo(-spearman({ predictions, targets }), 12);
    }),
  );
});

it("argmax takes the first of equal logits", () => {
  expect([...argmaxRows([0, 1, 1, 3, 2, 3], 3)]).toEqual([1, 0]);
});

it("metrics refuse no rows and different lengths", () => {
  for (const metric of [accuracy, f1, matthews, pearson, spearman]) {
    expect(() => metric({ predictions: [], targets: [] })).toThrow(expect.objectContaining({ code: "metric.input" }));
    expect(() => metric({ predictions: [1], targets: [1, 2] })).toThrow(expect.objectContaining({ code: "metric.input" }));
  }
});

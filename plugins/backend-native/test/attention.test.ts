import { keeps } from "@deft-js/tensor";
import { beforeAll, expect, test } from "vitest";
import { describeNative, error, numbers, optional, run, start } from "./native.ts";
import { attention, type AttentionCase } from "./reference.ts";

interface Case {
  readonly name: string;
  readonly sizes: readonly [batch: number, heads: number, queries: number, keys: number, depth: number];
  /** Every third key, or the first two. */
  readonly mask?: "scattered" | "front";
  readonly biasBatch?: number;
  readonly causal?: boolean;
  readonly dropout?: number;
  readonly scale?: number;
}

const CASES: readonly Case[] = [
  { name: "one of everything", sizes: [1, 1, 1, 1, 1] },
  { name: "odd sizes", sizes: [2, 3, 5, 7, 3] },
  { name: "several tiles of queries", sizes: [1, 2, 150, 37, 9] },
  { name: "several panels of keys and of depth", sizes: [1, 2, 67, 130, 81], scale: 1 / 9 },
  { name: "causal over several tiles, with padding and a bias", sizes: [2, 2, 77, 97, 17], causal: true, mask: "scattered", biasBatch: 1 },
  { name: "padding", sizes: [2, 2, 6, 11, 8], mask: "scattered" },
  { name: "shared bias", sizes: [3, 2, 5, 6, 4], biasBatch: 1 },
  { name: "own bias and padding", sizes: [3, 2, 5, 6, 4], biasBatch: 3, mask: "scattered" },
  { name: "causal", sizes: [2, 2, 9, 9, 5], causal: true },
  { name: "causal with earlier keys and padding", sizes: [2, 1, 4, 9, 5], causal: true, mask: "scattered" },
  { name: "causal with padding in front", sizes: [2, 2, 7, 7, 5], causal: true, mask: "front" },
  { name: "dropout", sizes: [2, 2, 20, 17, 6], dropout: 0.3 },
];
const SEED = -123_456_789;

function build({ sizes: [batch, heads, queries, keys, depth], mask, biasBatch = 0, causal = false, dropout = 0, scale = 0.6 }: Case): AttentionCase {
  const width = heads * depth;
  return {
    batch, heads, queries, keys, depth, causal, biasBatch, scale,
    q: numbers(batch * queries * width, 1), k: numbers(batch * keys * width, 2), v: numbers(batch * keys * width, 3),
    mask: mask && Float32Array.from({ length: batch * keys }, (_, i) => ((mask === "front" ? i % keys < 2 : i % 3 === 1) ? 0 : 1)),
    bias: biasBatch > 0 ? numbers(biasBatch * heads * queries * keys, 4) : undefined,
    factor: (index) => (dropout === 0 ? 1 : keeps(SEED, index, dropout) ? 1 / (1 - dropout) : 0),
  };
}

function compute(c: AttentionCase, dy: Float32Array, dropout: number): Float32Array[] {
  const { batch, heads, queries, keys, depth, scale, causal, biasBatch } = c;
  const [qShape, kShape] = [[batch, queries, heads * depth], [batch, keys, heads * depth]];
  const attrs = { heads, scale, causal, dropout, seed: SEED };
  const inputs = {
    q: [c.q as Float32Array, qShape], k: [c.k as Float32Array, kShape], v: [c.v as Float32Array, kShape],
    mask: optional(c.mask, [batch, keys]),
    bias: optional(c.bias, [biasBatch as number, heads, queries, keys]),
  } as const;
  const [context, logSumExp] = run("DeftAttention", inputs, attrs) as [Float32Array, Float32Array];
  const back = { ...inputs, context: [context, qShape], logSumExp: [logSumExp, [batch, heads, queries]], dy: [dy, qShape] } as const;
  return [context, logSumExp, ...run("DeftAttentionGradient", back, { ...attrs, biasGradient: c.bias !== undefined })];
}

describeNative("attention", (isa) => {
  beforeAll(() => start({ isa }));

  test.each([NaN, Infinity])("what is no number goes through to every gradient that it has a part in: q with %s", (value) => {
    const c = build({ name: "", sizes: [1, 1, 3, 5, 2] });
    (c.q as Float32Array)[2] = value; // of the second query
    const [, , dq, dk] = compute(c, new Float32Array(6).fill(1), 0) as [Float32Array, Float32Array, Float32Array, Float32Array];
    expect([...dq].map(Number.isNaN)).toEqual([false, false, true, true, false, false]);
    expect(dk.every(Number.isNaN)).toBe(true);
  });

  test.each(CASES)("$name", (given) => {
    const c = build(given);
    const dy = numbers(c.batch * c.queries * c.heads * c.depth, 5);
    const expected = attention(c, dy);
    const [context, logSumExp, dq, dk, dv, dBias] = compute(c, dy, given.dropout ?? 0) as [F, F, F, F, F, F | undefined];
    expect(error(context, expected.context)).toBeLessThan(2e-6);
    expect(error(logSumExp, expected.logSumExp)).toBeLessThan(2e-6);
    const scale = Math.max(...[expected.dq, expected.dk, expected.dv].map((g) => g.reduce((m, v) => Math.max(m, Math.abs(v)), 1e-3)));
    for (const [actual, wanted] of [[dq, expected.dq], [dk, expected.dk], [dv, expected.dv]] as const)
      expect(wanted.reduce((worst, v, i) => Math.max(worst, Math.abs(v - (actual[i] as number))), 0) / scale).toBeLessThan(5e-6);
    if (dBias !== undefined) expect(error(dBias, expected.dBias)).toBeLessThan(1e-5);
  });

  test("a row whose keys are all masked is uniform over them", () => {
    const c = { ...build({ name: "", sizes: [1, 1, 2, 4, 3] }), mask: new Float32Array(4) };
    const [context] = compute(c, numbers(6), 0) as [F];
    const mean = Float64Array.from({ length: 3 }, (_, d) => [0, 1, 2, 3].reduce((sum, j) => sum + (c.v[j * 3 + d] as number) / 4, 0));
    expect(error(context, [...mean, ...mean])).toBeLessThan(1e-6);
  });

  test("a saturated row keeps its gradients finite", () => {
    const c = build({ name: "", sizes: [1, 1, 3, 5, 4] });
    const large = { ...c, q: (c.q as F).map((v) => v * 300), k: (c.k as F).map((v) => v * 300) };
    for (const values of compute(large, numbers(12), 0)) expect(values.every(Number.isFinite)).toBe(true);
  });

  test("NaN in a query reaches its context", () => {
    const c = build({ name: "", sizes: [1, 1, 3, 5, 4] });
    const [context] = compute({ ...c, q: (c.q as F).map((v, i) => (i === 5 ? NaN : v)) }, numbers(12), 0) as [F];
    expect([...context.subarray(4, 8)].every(Number.isNaN)).toBe(true);
    expect([...context.subarray(0, 4)].every(Number.isFinite)).toBe(true);
  });
});

type F = Float32Array;

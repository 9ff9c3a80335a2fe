import { existsSync, readFileSync } from "node:fs";
import type { ActivationKind } from "@deft-js/tensor";
import { beforeAll, expect, test } from "vitest";
import { describeNative, error, numbers, run, runInto, start } from "./native.ts";
import { SLOPE, VALUE } from "./reference.ts";

const KINDS = ["relu", "gelu", "gelu_new", "silu", "tanh", "sigmoid"] as const satisfies readonly ActivationKind[];
const GRID = Float32Array.from({ length: 4003 }, (_, i) => -20 + i / 100);
const activate = (kind: ActivationKind, x: Float32Array): Float32Array => run("DeftActivation", { x: [x, [x.length]] }, { kind })[0] as Float32Array;

const GOLDENS = new URL("../../../../shared/goldens/numerics/expected.safetensors", import.meta.url);

/** The float32 tensors and byte flags of a safetensors file. */
function readTensors(url: URL): Map<string, Float32Array | Uint8Array> {
  const bytes = new Uint8Array(readFileSync(url));
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Record<string, { dtype: string; data_offsets: [number, number] }>;
  const tensors = new Map<string, Float32Array | Uint8Array>();
  for (const [name, { dtype, data_offsets: range }] of Object.entries(header)) {
    const part = bytes.slice(8 + length + range[0], 8 + length + range[1]);
    if (dtype === "F32") tensors.set(name, new Float32Array(part.buffer));
    if (dtype === "U8") tensors.set(name, part);
  }
  return tensors;
}

describeNative("activation", (isa) => {
  beforeAll(() => start({ isa }));

  test.each(KINDS)("%s and its derivative agree with float64", (kind) => {
    expect(error(activate(kind, GRID), Float64Array.from(GRID, VALUE[kind]))).toBeLessThan(4e-7);
    const small = Float32Array.from({ length: 401 }, (_, i) => (i - 200) / 100);
    expect(error(activate(kind, small), Float64Array.from(small, VALUE[kind]))).toBeLessThan(3e-7);
    if (kind === "gelu" || kind === "gelu_new") {
      const tail = Float32Array.from({ length: 100 }, (_, i) => -5 + i / 50);
      activate(kind, tail).forEach((v, i) => expect(Math.abs(v / VALUE[kind](tail[i] as number) - 1)).toBeLessThan(5e-6));
    }
    const dy = numbers(GRID.length, 4);
    const y = activate(kind, GRID);
    const expected = Float64Array.from(GRID, (v, i) => (dy[i] as number) * SLOPE[kind](v));
    for (const x of [GRID, undefined]) {
      if (x === undefined && !["relu", "tanh", "sigmoid"].includes(kind)) continue;
      const shape = [GRID.length];
      const [dx] = run("DeftActivationGradient", { x: x && [x, shape], y: [y, shape], dy: [dy, shape] }, { kind });
      expect(error(dx as Float32Array, expected)).toBeLessThan(1e-6);
    }
    const [dx] = run("DeftActivationGradient", { slope: [Float32Array.from(GRID, SLOPE[kind]), [GRID.length]], dy: [dy, [GRID.length]] }, { kind });
    expect(error(dx as Float32Array, expected)).toBeLessThan(1e-6);
  });

  test.each([["gelu", -5.543040752410889, -5.5430402755737305], ["gelu_new", -5.061380863189697, -5.061380386352539]] as const)(
    "%s is exactly -0 from PyTorch's threshold on and nowhere above it",
    (kind, zero, next) => {
      const [at, above, far] = activate(kind, Float32Array.of(zero, next, -20)) as unknown as [number, number, number];
      expect([Object.is(at, -0), Object.is(far, -0), above < 0]).toEqual([true, true, true]);
      const around = Float32Array.from({ length: 20_000 }, (_, i) => zero + i * 1e-5);
      expect(activate(kind, around).findLastIndex((v) => v === 0)).toBe(around.findLastIndex((v) => v <= zero));
    },
  );

  test.skipIf(!existsSync(GOLDENS))("values, gradients and zeros are the reference's", () => {
    const golden = readTensors(GOLDENS);
    for (const grid of ["coarse", "fine_negative", "special"])
      for (const kind of ["relu", "gelu", "gelu_new", "silu", "tanh"] as const) {
        const get = (suffix: string): Float32Array => golden.get(`${grid}.${suffix}`) as Float32Array;
        const x = get("x");
        const y = activate(kind, x);
        const expected = get(kind);
        const finite = x.map((v) => Number(Number.isFinite(v)));
        const only = (values: Float32Array): Float32Array => values.map((v, i) => (finite[i] === 1 ? v : 0));
        // PyTorch's own tail is a multiple of x·2⁻²⁵: the differences are held against the size of x
        y.forEach((v, i) => finite[i] === 1 && expect(Math.abs(v - (expected[i] as number))).toBeLessThanOrEqual(3e-7 * Math.max(1, Math.abs(x[i] as number))));
        const ones = new Float32Array(x.length).fill(1);
        const [dx] = run("DeftActivationGradient", { x: [x, [x.length]], y: [y, [x.length]], dy: [ones, [x.length]] }, { kind });
        const slope = get(`${kind}.grad`);
        // at 3e38 PyTorch's own gradient of gelu_new is NaN
        dx?.forEach((v, i) => finite[i] === 1 && !Number.isNaN(slope[i]) && expect(Math.abs(v - (slope[i] as number))).toBeLessThanOrEqual(5e-6));
        const flags = golden.get(`${grid}.${kind}.is_zero`);
        if (flags !== undefined) expect(Array.from(only(y), (v) => Number(v === 0))).toEqual(Array.from(flags, (f, i) => (finite[i] === 1 ? f : 1)));
      }
  });

  test.each(KINDS)("%s lets NaN through", (kind) => {
    expect(activate(kind, Float32Array.of(1, NaN, 2, 3, 4, 5, 6, 7, 8))[1]).toBeNaN();
    expect(activate(kind, Float32Array.of(NaN))[0]).toBeNaN();
  });

  test.each(KINDS)("the density term joins dy inside the gradient of %s", (kind) => {
    const [batch, seq, n, epsilon] = [2, 3, 21, 1e-3];
    const [x, dy, weights] = [numbers(batch * seq * n, 1, 2), numbers(batch * seq * n, 2), numbers(batch * seq, 3)];
    const dp = numbers(batch, 4);
    const shape = [batch, seq, n];
    const y = activate(kind, x);
    const penalty = (v: number): number => (2 * v * epsilon) / (v * v + epsilon) ** 2;
    for (const withDy of [true, false]) {
      const expected = Float64Array.from(x, (v, i) => ((withDy ? (dy[i] as number) : 0) + (dp[Math.floor(i / n / seq)] as number) * (weights[Math.floor(i / n)] as number) * penalty(VALUE[kind](v))) * SLOPE[kind](v));
      const given = { x: kind === "relu" ? undefined : ([x, shape] as const), y: [y, shape] as const, weights: [weights, [batch, seq]] as const, dp: [dp, [batch]] as const };
      const slope = Float32Array.from(x, SLOPE[kind]);
      for (const from of [given, { ...given, x: undefined, slope: [slope, shape] as const }]) {
        const [dx] = run("DeftActivationGradient", withDy ? { ...from, dy: [dy, shape] } : from, { kind, epsilon });
        expect(error(dx as Float32Array, expected)).toBeLessThan(5e-5);
      }
    }
  });

  test.each(KINDS)("the penalty is written beside the gradient of %s, padded rows unread", (kind) => {
    for (const [batch, seq, n] of [[2, 3, 21], [3, 40, 700], [2, 2, 64], [1, 0, 5]] as const) {
      const epsilon = 1e-3;
      const [x, dy, dp] = [numbers(batch * seq * n, 1, 2), numbers(batch * seq * n, 2), numbers(batch, 4)];
      const weights = numbers(batch * seq, 3).map((w, i) => (i % 3 === 1 ? 0 : w));
      x.forEach((_, i) => weights[Math.floor(i / n)] === 0 && (x[i] = NaN));
      const y = activate(kind, x);
      const expected = new Float64Array(batch);
      y.forEach((v, i) => {
        const row = Math.floor(i / n);
        const b = Math.floor(row / seq);
        if (weights[row] !== 0) expected[b] = (expected[b] as number) + ((weights[row] as number) * v * v) / (v * v + epsilon);
      });
      const shape = [batch, seq, n];
      const given = { x: kind === "relu" ? undefined : ([x, shape] as const), y: [y, shape] as const, dy: [dy, shape] as const, weights: [weights, [batch, seq]] as const, dp: [dp, [batch]] as const };
      const [dx, penalty] = runInto("DeftActivationGradient", given, { kind, epsilon }, ["penalty", batch]);
      expect(error(penalty as Float32Array, expected)).toBeLessThan(1e-5);
      expect(error(dx as Float32Array, run("DeftActivationGradient", given, { kind, epsilon })[0] as Float32Array)).toBeLessThan(1e-6);
    }
  });
});

describeNative("density", (isa) => {
  beforeAll(() => start({ isa }));

  test.each([[1, 1, 1], [2, 3, 7], [3, 5, 33], [2, 40, 700], [2, 0, 5]] as const)("penalty and gradient for [%i, %i, %i]", (batch, seq, n) => {
    for (const epsilon of [1e-7, 1e-3, 20]) {
      const [a, w, dy] = [numbers(batch * seq * n).map((v, i) => (i % 3 === 0 ? 0 : v * 1e-2)), numbers(batch * seq, 2), numbers(batch, 3)];
      const given = { a: [a, [batch, seq, n]], weights: [w, [batch, seq]] } as const;
      const expected = new Float64Array(batch);
      a.forEach((v, i) => {
        const row = Math.floor(i / n);
        const b = Math.floor(row / seq);
        expected[b] = (expected[b] as number) + ((w[row] as number) * v * v) / (v * v + epsilon);
      });
      expect(error(run("DeftDensityPenalty", given, { epsilon, late: false })[0] as Float32Array, expected)).toBeLessThan(2e-6);
      expect(run("DeftDensityPenalty", given, { epsilon, late: true })[0]).toEqual(new Float32Array(batch).fill(NaN));
      const slope = Float64Array.from(a, (v, i) => {
        const row = Math.floor(i / n);
        return ((dy[Math.floor(row / seq)] as number) * (w[row] as number) * 2 * v * epsilon) / (v * v + epsilon) ** 2;
      });
      const [da, penalty] = runInto("DeftDensityPenaltyGradient", { ...given, dy: [dy, [batch]] }, { epsilon }, ["penalty", batch]);
      expect(error(da as Float32Array, slope)).toBeLessThan(2e-6);
      expect(error(penalty as Float32Array, expected)).toBeLessThan(2e-6);
    }
  });

  test.each([1e-7, 1e-30, 1e-44])("ends of the range at ε = %f", (epsilon) => {
    const shape = [1, 1, 40];
    const of = (value: number): number => {
      const a = new Float32Array(40);
      a.fill(value, 0, 3); // in a whole vector and, with narrower ones, alone
      return (run("DeftDensityPenalty", { a: [a, shape], weights: [Float32Array.of(1 / 3), [1, 1]] }, { epsilon, late: false })[0] as Float32Array)[0] as number;
    };
    expect([0, 1, -1e5, 1e10, 1e18, 1.8e19].map(of)).toEqual([0, 1, 1, 1, 1, 1].map((v) => expect.closeTo(v, 6)));
    expect(of(NaN)).toBeNaN();
    const given = { a: [Float32Array.from({ length: 40 }, (_, i) => [0, 1e15, NaN][i] ?? 0), shape], weights: [Float32Array.of(1), [1, 1]], dy: [Float32Array.of(1), [1]] } as const;
    const slope = run("DeftDensityPenaltyGradient", given, { epsilon })[0] as Float32Array;
    expect([slope[0], slope[1], slope[3]]).toEqual([0, expect.closeTo(0, 6), 0]);
    expect(slope[2]).toBeNaN();
  });
});

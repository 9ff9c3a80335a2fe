import type { ActivationKind } from "@deft-js/tensor";
import { beforeAll, expect, test } from "vitest";
import { describeNative, error, numbers, optional, run, start } from "./native.ts";
import { product, SLOPE, VALUE } from "./reference.ts";

// odd sizes, one row, no rows, and enough rows for each thread to take its own product
const SIZES = [[1, 1, 1], [2, 3, 5], [7, 17, 19], [33, 16, 31], [0, 3, 4], [2100, 24, 9]] as const;
const KINDS = ["identity", "relu", "gelu", "gelu_new", "silu", "tanh", "sigmoid"] as const satisfies readonly (ActivationKind | "identity")[];
const FROZEN = { transposed: false, frozen: true };

describeNative("linear", (isa) => {
  beforeAll(() => start({ isa }));

  test.each(SIZES)("y = f(x·W + b) for %i × %i → %i", (rows, dIn, dOut) => {
    const [x, w, b] = [numbers(rows * dIn, 1), numbers(dIn * dOut, 2), numbers(dOut, 3)];
    for (const transposed of [false, true]) {
      const plain = product(x, w, rows, dOut, dIn, false, transposed);
      for (const activation of KINDS)
        for (const bias of [b, undefined]) {
          const pre = plain.map((v, i) => v + (bias === undefined ? 0 : (bias[i % dOut] as number)));
          const inputs = { x: [x, [rows, dIn]], weight: [w, transposed ? [dOut, dIn] : [dIn, dOut]], bias: optional(bias, [dOut]) } as const;
          for (const save of [undefined, "pre", "slope"] as const) {
            if (save === "slope" && activation === "identity") continue;
            const [y, saved] = run("DeftLinear", inputs, { activation, transposed, frozen: save === "pre", save });
            expect(error(y as Float32Array, pre.map(VALUE[activation]))).toBeLessThan(2e-6);
            if (save === "pre") expect(error(saved as Float32Array, pre)).toBeLessThan(1e-6);
            // the step of relu's slope falls where float32 has it
            if (save === "slope" && activation !== "identity" && activation !== "relu") expect(error(saved as Float32Array, pre.map(SLOPE[activation]))).toBeLessThan(2e-6);
          }
        }
    }
  });

  test.each(SIZES)("dx = dy·Wᵀ and dW = xᵀ·dy for %i × %i → %i", (rows, dIn, dOut) => {
    const [x, w, dy] = [numbers(rows * dIn, 1), numbers(dIn * dOut, 2), numbers(rows * dOut, 3)];
    const dyIn = [dy, [rows, dOut]] as const;
    for (const transposed of [false, true]) {
      const weight = [w, transposed ? [dOut, dIn] : [dIn, dOut]] as const;
      const plain = product(dy, w, rows, dIn, dOut, false, !transposed);
      const [dx] = run("DeftLinearInputGradient", { dy: dyIn, weight }, { ...FROZEN, transposed });
      expect(error(dx as Float32Array, plain)).toBeLessThan(1e-6);
      const [onto] = run("DeftLinearInputGradient", { dy: dyIn, weight, sum: [x, [rows, dIn]] }, { ...FROZEN, transposed });
      expect(error(onto as Float32Array, plain.map((value, i) => value + (x[i] as number)))).toBeLessThan(1e-6);
      const [dw] = run("DeftLinearWeightGradient", { x: [x, [rows, dIn]], dy: dyIn }, { transposed });
      const expected = transposed ? product(dy, x, dOut, dIn, rows, true) : product(x, dy, dIn, dOut, rows, true);
      expect(error(dw as Float32Array, expected)).toBeLessThan(3e-6);
    }
  });

  test("leading axes are folded and come back", () => {
    const [y] = run("DeftLinear", { x: [numbers(24), [2, 3, 4]], weight: [numbers(20, 2), [4, 5]] }, { activation: "identity", ...FROZEN });
    expect(error(y as Float32Array, product(numbers(24), numbers(20, 2), 6, 5, 4))).toBeLessThan(1e-6);
  });

  test("db is the sum over rows", () => {
    for (const [rows, n] of [[1, 1], [5, 7], [37, 130], [0, 3]] as const) {
      const dy = numbers(rows * n);
      const expected = Float64Array.from({ length: n }, (_, c) => Array.from({ length: rows }, (_, r) => dy[r * n + c] as number).reduce((s, v) => s + v, 0));
      expect(error(run("DeftRowSum", { dy: [dy, [rows, n]] }, {})[0] as Float32Array, expected)).toBeLessThan(1e-5);
    }
  });

  test.each([[1, 3, 5, 1], [19, 24, 17, 3], [300, 33, 40, 8], [0, 4, 4, 2]] as const)("low rank: %i × %i → %i by %i", (rows, dIn, dOut, rank) => {
    const scale = 1.75;
    const [x, base, a, b, dy] = [numbers(rows * dIn), numbers(rows * dOut, 2), numbers(dIn * rank, 3), numbers(rank * dOut, 4), numbers(rows * dOut, 5)];
    const given = { x: [x, [rows, dIn]], down: [a, [dIn, rank]], up: [b, [rank, dOut]] } as const;
    const [y, xa] = run("DeftLowRank", { ...given, base: [base, [rows, dOut]] }, { scale }) as [Float32Array, Float32Array];
    const expectedXa = product(x, a, rows, rank, dIn);
    expect(error(xa, expectedXa)).toBeLessThan(2e-6);
    expect(error(y, product(expectedXa, b, rows, dOut, rank).map((v, i) => (base[i] as number) + scale * v))).toBeLessThan((dIn + rank) * 2 ** -23);
    const all = { ...given, xa: [xa, [rows, rank]], dy: [dy, [rows, dOut]] } as const;
    const [da, db, dx] = run("DeftLowRankGradient", all, { scale, needsX: true }) as [Float32Array, Float32Array, Float32Array];
    const dxa = product(dy, b, rows, rank, dOut, false, true).map((v) => v * scale);
    const expectedDx = product(dxa, a, rows, dIn, rank, false, true);
    expect(error(dx, expectedDx)).toBeLessThan(2e-6);
    expect(error(run("DeftLowRankGradient", { ...all, sum: [x, [rows, dIn]] }, { scale, needsX: true })[2] as Float32Array, expectedDx.map((value, i) => value + (x[i] as number)))).toBeLessThan(2e-6);
    expect(run("DeftLowRankGradient", all, { scale, needsX: false })).toEqual([da, db]);
    expect(error(da, product(x, dxa, dIn, rank, rows, true))).toBeLessThan(5e-6);
    expect(error(db, product(expectedXa, dy, rank, dOut, rows, true).map((v) => v * scale))).toBeLessThan(5e-6);
  });
});

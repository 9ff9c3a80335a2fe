import { selectedLinear, tensor, type SparseDecision } from "@deft-js/tensor";
import { beforeAll, expect, test } from "vitest";
import { describeNative, error, numbers, optional, run, start } from "./native.ts";
import { product } from "./reference.ts";

// one token, few, a number of outputs beyond a block of them, more rows than stay in the cache at a time, and nothing at all
const SIZES = [[1, 5, 3], [3, 70, 9], [7, 130, 129], [40, 40, 200], [21, 17_000, 3], [0, 3, 4], [4, 0, 3]] as const;

/** Zeros but for about one entry in four. */
function few(n: number): Float32Array {
  return numbers(n, 5).map((v, i) => ((i * 2654435761) % 4294967296 < 2 ** 30 ? v : 0));
}

describeNative("selected linear", (isa) => {
  beforeAll(() => start({ isa }));

  test.each(SIZES)("y = x·W + b where it is wanted for %i × %i → %i, whether the rest is left out or not", (rows, dIn, dOut) => {
    const [x, w, b, select] = [numbers(rows * dIn), numbers(dIn * dOut, 2), numbers(dOut, 3), few(rows * dOut)];
    const whole = product(x, w, rows, dOut, dIn, false, true);
    for (const bias of [b, undefined])
      for (const threshold of [0, 0.5])
        for (const breakEven of [0, 1]) {
          const inputs = { x: [x, [rows, dIn]], weight: [w, [dOut, dIn]], select: [select, [rows, dOut]], bias: optional(bias, [dOut]) } as const;
          const [y] = run("DeftSelectedLinear", inputs, { frozen: true, breakEven, threshold });
          const expected = whole.map((v, i) => (Math.abs(select[i] ?? 0) > threshold ? v + (bias?.[i % dOut] ?? 0) : 0));
          expect(error(y as Float32Array, expected)).toBeLessThan(2e-6);
        }
  });

  test("the decision tells the share of wanted outputs and whether the others were left out", () => {
    const select = tensor([1, 0, 0, 0, 0, 2, 3, 0], [2, 4]);
    const told: SparseDecision[] = [];
    for (const breakEven of [0.375, 0.3]) selectedLinear(tensor(numbers(4), [2, 2]), tensor(numbers(8), [4, 2]), { select, breakEven, onDecision: (decision) => told.push(decision) });
    expect(told).toEqual([{ density: 0.375, skipped: true }, { density: 0.375, skipped: false }]);
  });

  test("NaN in rows of W that nobody wants does not come through", () => {
    const [dIn, dOut] = [2048, 4096];
    const w = numbers(dIn * dOut).fill(NaN, 0, dIn * (dOut - 1));
    const select = new Float32Array(dOut).fill(1, dOut - 1);
    const [y] = run("DeftSelectedLinear", { x: [numbers(dIn), [1, dIn]], weight: [w, [dOut, dIn]], select: [select, [1, dOut]] }, { frozen: true, breakEven: 1, threshold: 0 });
    expect((y as Float32Array).subarray(0, dOut - 1).every((v) => Object.is(v, 0))).toBe(true);
    expect(Number.isFinite(y?.[dOut - 1])).toBe(true);
  });

  test("the same bits for any number of threads", async () => {
    const inputs = { x: [numbers(40 * 300), [40, 300]], weight: [numbers(300 * 200, 2), [200, 300]], select: [few(40 * 200), [40, 200]] } as const;
    const attrs = { frozen: true, breakEven: 1, threshold: 0 };
    await start({ isa, threads: 1 });
    const [one] = run("DeftSelectedLinear", inputs, attrs);
    await start({ isa, threads: 3 });
    const [three] = run("DeftSelectedLinear", inputs, attrs);
    expect(three).toEqual(one);
    await start({ isa });
  });

  test("the options' ranges are held", () => {
    const call = (options: object) => () => selectedLinear(tensor([1], [1, 1]), tensor([1], [1, 1]), { select: tensor([1], [1, 1]), breakEven: 1, ...options });
    for (const options of [{ threshold: -1 }, { threshold: NaN }, { breakEven: 2 }]) expect(call(options)).toThrow(expect.objectContaining({ code: "tensor.selected" }));
  });
});

import { sparseLinear, tensor, type SparseDecision } from "@deft-js/tensor";
import { beforeAll, expect, test } from "vitest";
import { describeNative, error, numbers, optional, run, start } from "./native.ts";
import { product } from "./reference.ts";

// one token, few, as many as read W in place and one more, and more than a block of lists
const SIZES = [[1, 5, 3], [3, 70, 9], [7, 130, 129], [16, 40, 200], [17, 1100, 70], [1030, 37, 33], [0, 3, 4], [4, 0, 3]] as const;

/** Zeros but for one entry in four. */
function sparse(n: number): Float32Array {
  return numbers(n).map((v, i) => ((i * 2654435761) % 4294967296 < 2 ** 30 ? v : 0));
}

describeNative("sparse linear", (isa) => {
  beforeAll(() => start({ isa }));

  test.each(SIZES)("y = x·W + b for %i × %i → %i, whether zeros are skipped or not", (rows, dIn, dOut) => {
    const [x, w, b] = [sparse(rows * dIn), numbers(dIn * dOut, 2), numbers(dOut, 3)];
    for (const transposed of [false, true])
      for (const bias of [b, undefined])
        for (const frozen of [false, true])
          for (const breakEven of [0, 1]) {
            const inputs = { x: [x, [rows, dIn]], weight: [w, transposed ? [dOut, dIn] : [dIn, dOut]], bias: optional(bias, [dOut]) } as const;
            const [y] = run("DeftSparseLinear", inputs, { transposed, frozen, breakEven, threshold: 0, keep: 0 });
            const expected = product(x, w, rows, dOut, dIn, false, transposed).map((v, i) => v + (bias?.[i % dOut] ?? 0));
            expect(error(y as Float32Array, expected)).toBeLessThan(2e-6);
          }
  });

  test.each([1, 2])("W in several bands and tiles, with %i threads", async (threads) => {
    await start({ isa, threads });
    const [rows, dIn, dOut] = [200, 530, 1220]; // more columns than a thread takes at once, and a last tile and a last panel that are not full
    const [x, w, b] = [sparse(rows * dIn), numbers(dIn * dOut, 2), numbers(dOut, 3)];
    const [y] = run("DeftSparseLinear", { x: [x, [rows, dIn]], weight: [w, [dIn, dOut]], bias: [b, [dOut]] }, { transposed: false, frozen: true, breakEven: 1, threshold: 0, keep: 0 });
    expect(error(y as Float32Array, product(x, w, rows, dOut, dIn).map((v, i) => v + (b[i % dOut] as number)))).toBeLessThan(2e-6);
    await start({ isa });
  });

  test("the decision tells the density and whether zeros were skipped", () => {
    const x = tensor([1, 0, 0, 0, 0, 2, 3, 0], [2, 4]);
    const told: SparseDecision[] = [];
    for (const breakEven of [0.375, 0.3]) sparseLinear(x, tensor(numbers(8), [4, 2]), { breakEven, onDecision: (decision) => told.push(decision) });
    expect(told).toEqual([{ density: 0.375, skipped: true }, { density: 0.375, skipped: false }]);
  });

  test("small entries are left out, and all but the largest of each row", () => {
    const x = tensor([0.5, -3, 0.25, 1, NaN, 0, -2, 2], [2, 4]);
    const identity = tensor([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1], [4, 4]);
    const of = (options: object): number[] => [...sparseLinear(x, identity, { breakEven: 1, ...options }).dataSync()].map((v) => v + 0);
    expect(of({ threshold: 0.5 }).slice(0, 4)).toEqual([0, -3, 0, 1]);
    expect(of({ keep: 2 }).slice(0, 4)).toEqual([0, -3, 0, 1]);
    expect(of({ keep: 1 }).slice(0, 4)).toEqual([0, -3, 0, 0]);
    expect(of({ keep: 3, threshold: 0.9 }).slice(0, 4)).toEqual([0, -3, 0, 1]);
    expect(of({ keep: 2 }).slice(4)).toEqual([NaN, NaN, NaN, NaN]);
  });

  test("the same bits for any number of threads", async () => {
    const inputs = { x: [sparse(40 * 300), [40, 300]], weight: [numbers(300 * 200, 2), [300, 200]] } as const;
    const attrs = { transposed: false, frozen: true, breakEven: 1, threshold: 0, keep: 0 };
    await start({ isa, threads: 1 });
    const [one] = run("DeftSparseLinear", inputs, attrs);
    await start({ isa, threads: 3 });
    const [three] = run("DeftSparseLinear", inputs, attrs);
    expect(three).toEqual(one);
    await start({ isa });
  });

  test("the options' ranges are held", () => {
    const call = (options: object) => () => sparseLinear(tensor([1], [1, 1]), tensor([1], [1, 1]), { breakEven: 1, ...options });
    for (const options of [{ threshold: -1 }, { threshold: NaN }, { keep: 1.5 }, { breakEven: 2 }]) expect(call(options)).toThrow(expect.objectContaining({ code: "tensor.sparse" }));
  });
});

import { linear, read, scope, tensor, tf, valueAndGradients, Variable, sum, mul } from "@deft-js/tensor";
import { beforeAll, describe, expect, test } from "vitest";
import { nativeStatus } from "../src/index.ts";
import { error, numbers, start } from "./native.ts";
import { product } from "./reference.ts";

const status = nativeStatus();

/** The nearest bfloat16, ties to even. */
function rounded(values: Float32Array): Float32Array {
  const bits = new Uint32Array(values.slice().buffer);
  for (let i = 0; i < bits.length; i++) bits[i] = ((bits[i] as number) + 0x7fff + (((bits[i] as number) >>> 16) & 1)) & 0xffff0000;
  return new Float32Array(bits.buffer);
}

describe.skipIf(status.addon?.bf16 !== 1)("frozen weights in bfloat16", () => {
  beforeAll(() => start({ precision: "bf16" }));

  const SIZES = [[1, 1, 1], [3, 5, 7], [17, 33, 9], [130, 64, 48]] as const;

  test.each(SIZES)("forward and gradient are float32 sums of rounded products, %i × %i → %i", (rows, dIn, dOut) => {
    for (const transposed of [false, true]) {
      const [x, w, dy] = [numbers(rows * dIn), numbers(dIn * dOut, 2), numbers(rows * dOut, 3)];
      const weight = new Variable("w", tensor(w.slice(), transposed ? [dOut, dIn] : [dIn, dOut]), { trainable: false });
      const input = new Variable("x", tensor(x.slice(), [rows, dIn]));
      scope(() => {
        const bias = numbers(dOut, 4); // added as it is
        const y = read(linear(input.value, weight.value, { transposed, frozen: true, bias: tensor(bias, [dOut]) }));
        const expected = product(rounded(x), rounded(w), rows, dOut, dIn, false, transposed).map((value, i) => value + (bias[i % dOut] as number));
        expect(error(y, expected)).toBeLessThan(1e-6);
        const up = tensor(dy.slice(), [rows, dOut]);
        const { gradients } = valueAndGradients(() => sum(mul(linear(input.value, weight.value, { transposed, frozen: true }), up)), [input]);
        expect(error(read(gradients.get("x") as tf.Tensor), product(rounded(dy), rounded(w), rows, dIn, dOut, false, !transposed))).toBeLessThan(1e-6);
      });
      weight.dispose();
      input.dispose();
    }
  });

  test("a weight is held in bfloat16 alone until something else reads it, and then has the rounded values", () => {
    const held = (): { packed: number; live: number } => ({ packed: nativeStatus().packedBytes ?? NaN, live: nativeStatus().pool?.live ?? NaN });
    const before = held();
    const after = { packed: before.packed + 64 * 128 * 2, live: before.live + 64 * 128 * 2 };
    const w = numbers(64 * 128, 5);
    const weight = new Variable("w", tf.add(tensor(w, [64, 128]), 0), { trainable: false });
    const x = tensor(numbers(4 * 64), [4, 64]);
    const run = (): Float32Array => scope(() => read(linear(x, weight.value, { frozen: true })));
    const y = run();
    expect(held()).toEqual(after);
    expect(weight.data()).toEqual(rounded(w));
    expect(held()).toEqual(after);
    for (const f of [(t: tf.Tensor) => tf.cumsum(t, 1), (t: tf.Tensor) => tf.transpose(t)])
      scope(() => {
        expect(read(f(weight.value))).toEqual(read(f(tensor(rounded(w), [64, 128]))));
      });
    expect(run()).toEqual(y);
    weight.dispose();
    x.dispose();
    expect(held()).toEqual(before);
  });

  test("a weight that something else has read keeps its float32 values", () => {
    const w = numbers(64 * 128, 5);
    const weight = new Variable("w", tensor(w, [64, 128]), { trainable: false });
    scope(() => {
      const taken = (): Float32Array => read(tf.gather(weight.value, tf.tensor1d([3, 5], "int32")));
      const first = taken();
      read(linear(tensor(numbers(64), [1, 64]), weight.value, { frozen: true }));
      expect(taken()).toEqual(first);
    });
    expect(weight.data()).toEqual(w);
    weight.dispose();
  });

  test("a trainable weight is not rounded", () => {
    scope(() => {
      const [x, w] = [numbers(8 * 64), numbers(64 * 16, 2)];
      expect(error(read(linear(tensor(x, [8, 64]), tensor(w, [64, 16]))), product(x, w, 8, 16, 64))).toBeLessThan(1e-6);
    });
  });
});

import { add, linear, mul, read, reshape, scope, sparseLinear, sum, tensor, tf, valueAndGradients, Variable } from "@deft-js/tensor";
import { beforeEach, describe, expect, test } from "vitest";
import { loadAddon } from "../src/addon.ts";
import { nativeStatus } from "../src/index.ts";
import { error, numbers, start } from "./native.ts";
import { product } from "./reference.ts";

const packs = nativeStatus().built && loadAddon().packedSize(false, 64, 64) > 0;
if (!packs) console.warn("native back-end: the matrix library packs no float32 weights on this machine; their tests are skipped.");

const [IN, OUT] = [64, 128];
const BYTES = 4 * IN * OUT;

interface Held {
  readonly packed: number;
  readonly live: number;
}
const held = (): Held => ({ packed: nativeStatus().packedBytes ?? NaN, live: nativeStatus().pool?.live ?? NaN });
const more = ({ packed, live }: Held, forms: number, arrays: number): Held => ({ packed: packed + forms * BYTES, live: live + arrays * BYTES });

/** A frozen weight in the pool's memory. */
const frozen = (values: Float32Array, shape: readonly number[] = [IN, OUT]): Variable => new Variable("w", tf.add(tensor(values, shape), 0), { trainable: false });
const forward = (weight: Variable, x: Float32Array): Float32Array => scope(() => read(linear(tensor(x, [x.length / IN, IN]), weight.value, { frozen: true })));
/** dx of Σ dy·(x·W), with as many products that add to it. */
function gradient(weight: Variable, dy: Float32Array, times = 1): Float32Array {
  const rows = dy.length / OUT;
  const x = new Variable("x", tensor(numbers(rows * IN), [rows, IN]));
  const result = scope(() => {
    const up = tensor(dy, [rows, OUT]);
    const all = (): tf.Tensor => Array.from({ length: times }, () => sum(mul(linear(x.value, weight.value, { frozen: true }), up))).reduce((a, b) => add(a, b));
    return read(valueAndGradients(all, [x]).gradients.get("x") as tf.Tensor);
  });
  x.dispose();
  return result;
}

describe.skipIf(!packs)("frozen weights packed in float32", () => {
  beforeEach(() => start());

  test.each([[1, 16, 64], [3, 64, 16], [17, 33, 9], [130, 48, 192], [1, 5, 7]] as const)("y and dx are those of the plain weight, %i × %i → %i", (rows, dIn, dOut) => {
    for (const transposed of [false, true]) {
      const [x, w, dy] = [numbers(rows * dIn), numbers(dIn * dOut, 2), numbers(rows * dOut, 3)];
      const weight = frozen(w, transposed ? [dOut, dIn] : [dIn, dOut]);
      const input = new Variable("x", tensor(x, [rows, dIn]));
      scope(() => {
        const bias = numbers(dOut, 4);
        const y = read(linear(input.value, weight.value, { transposed, frozen: true, bias: tensor(bias, [dOut]) }));
        const expected = product(x, w, rows, dOut, dIn, false, transposed).map((value, i) => value + (bias[i % dOut] as number));
        expect(error(y, expected)).toBeLessThan(1e-6);
        const { gradients } = valueAndGradients(() => sum(mul(linear(input.value, weight.value, { transposed, frozen: true }), tensor(dy, [rows, dOut]))), [input]);
        expect(error(read(gradients.get("x") as tf.Tensor), product(dy, w, rows, dIn, dOut, false, !transposed))).toBeLessThan(1e-6);
      });
      weight.dispose();
      input.dispose();
    }
  });

  test.each(["relu", "gelu", "gelu_new", "silu"] as const)("%s over a product with a bias, and its gradient, are those of the plain weight", (activation) => {
    const [x, w, bias, dy] = [numbers(9 * IN), numbers(IN * OUT, 2), numbers(OUT, 4), numbers(9 * OUT, 3)];
    const compute = (frozen: boolean): Float32Array[] => {
      const weight = new Variable("w", tf.add(tensor(w, [IN, OUT]), 0), { trainable: false });
      const input = new Variable("x", tensor(x, [9, IN]));
      const results = scope(() => {
        let y!: Float32Array;
        const { gradients } = valueAndGradients(() => {
          const made = linear(input.value, weight.value, { frozen, bias: tensor(bias, [OUT]), activation });
          y = read(made);
          return sum(mul(made, tensor(dy, [9, OUT])));
        }, [input]);
        return [y, read(gradients.get("x") as tf.Tensor)];
      });
      weight.dispose();
      input.dispose();
      return results;
    };
    const [packed, plain] = [compute(true), compute(false)];
    for (const [i, values] of packed.entries()) expect(error(values, plain[i] as Float32Array)).toBeLessThan(1e-6);
  });

  test.each([3, 2 ** 14 + 1])("a gradient that is added to another is their sum, %i rows", (rows) => {
    const [w, dy] = [numbers(IN * OUT, 2), numbers(rows * OUT, 3)];
    const weight = frozen(w);
    const expected = product(dy, w, rows, IN, OUT, false, true).map((value) => 3 * value);
    expect(error(gradient(weight, dy, 3), expected)).toBeLessThan(1e-6);
    weight.dispose();
  });

  test("the packed weight stands in the plain one's place, which comes back with every bit when something reads it", () => {
    const before = held();
    const w = numbers(IN * OUT, 5);
    const weight = frozen(w);
    const [x, dy] = [numbers(4 * IN), numbers(4 * OUT, 6)];
    const y = forward(weight, x);
    expect(held()).toEqual(more(before, 1, 1));
    const dx = gradient(weight, dy);
    expect(held()).toEqual(more(before, 2, 2));
    expect(weight.data()).toEqual(w);
    expect(held()).toEqual(more(before, 2, 2));
    scope(() => {
      expect(read(tf.transpose(weight.value))).toEqual(read(tf.transpose(tensor(w, [IN, OUT]))));
    });
    expect(held()).toEqual(more(before, 2, 3));
    expect([forward(weight, x), gradient(weight, dy)]).toEqual([y, dx]);
    weight.dispose();
    expect(held()).toEqual(before);
  });

  test("beyond packLimit weights stay plain, and what was packed before comes back", async () => {
    await start({ packLimit: BYTES });
    const before = held();
    const [w, x, dy] = [numbers(IN * OUT, 5), numbers(4 * IN), numbers(4 * OUT, 6)];
    const [first, second] = [frozen(w), frozen(w)];
    const y = forward(first, x);
    expect(held()).toEqual(more(before, 1, 2));
    expect(error(forward(second, x), y)).toBeLessThan(1e-6);
    expect(held()).toEqual(more(before, 1, 2));
    expect(error(gradient(first, dy), product(dy, w, 4, IN, OUT, false, true))).toBeLessThan(1e-6);
    expect(held()).toEqual(more(before, 1, 3));
    first.dispose();
    forward(second, x);
    second.dispose();
    expect(held()).toEqual(before);
  });

  test("a trainable weight, and a large one under many rows unless these gain, stay plain", () => {
    const before = held();
    scope(() => {
      read(linear(tensor(numbers(IN), [1, IN]), tensor(numbers(IN * OUT), [IN, OUT])));
    });
    const large = frozen(new Float32Array(1024 * 1024), [1024, 1024]);
    scope(() => {
      read(linear(tf.zeros([1025, 1024]), large.value, { frozen: true }));
      expect(held().packed > before.packed).toBe(loadAddon().packingGains(1025, 1024, 1024));
      read(linear(tf.zeros([1024, 1024]), large.value, { frozen: true }));
      expect(held().packed).toBe(before.packed + 4 * 1024 * 1024);
    });
    large.dispose();
    expect(held()).toEqual(before);
  });

  test("a weight that another handle shows in another shape serves there, too", () => {
    const w = numbers(IN * OUT, 2);
    const weight = frozen(w);
    forward(weight, numbers(2 * IN));
    const x = numbers(2 * OUT, 3);
    const y = scope(() => read(linear(tensor(x, [2, OUT]), reshape(weight.value, [OUT, IN]), { frozen: true })));
    expect(error(y, product(x, w, 2, IN, OUT, false, false))).toBeLessThan(1e-6);
    expect(error(forward(weight, numbers(2 * IN)), product(numbers(2 * IN), w, 2, OUT, IN, false, false))).toBeLessThan(1e-6);
    weight.dispose();
  });

  test("one square weight serves as it is stored and transposed", () => {
    const [x, w] = [numbers(3 * IN), numbers(IN * IN, 5)];
    const weight = frozen(w, [IN, IN]);
    for (const transposed of [false, true, false]) {
      const y = scope(() => read(linear(tensor(x, [3, IN]), weight.value, { transposed, frozen: true })));
      expect(error(y, product(x, w, 3, IN, IN, false, transposed))).toBeLessThan(1e-6);
    }
    weight.dispose();
  });

  test.each([[600, 2050, 24], [3, 1030, 5], [513, 1024, 8], [64, 8200, 8]] as const)("a long sum, which the library may take in parts: %i × %i → %i", (rows, dIn, dOut) => {
    const SUM = 3e-6; // 1024 terms of one sign, added in turn, err by about 32·2⁻²⁵ = 1e-6 of their sum, the worst of thousands by two or three times that
    for (const transposed of [false, true]) {
      const [x, w, bias, dy] = [numbers(rows * dIn).map(Math.abs), numbers(dIn * dOut, 2).map(Math.abs), numbers(dOut, 4), numbers(rows * dOut, 3)]; // nothing cancels
      const weight = frozen(w, transposed ? [dOut, dIn] : [dIn, dOut]);
      scope(() => {
        const forward = read(linear(tensor(x, [rows, dIn]), weight.value, { transposed, frozen: true, bias: tensor(bias, [dOut]) }));
        expect(error(forward, product(x, w, rows, dOut, dIn, false, transposed).map((value, i) => value + (bias[i % dOut] as number)))).toBeLessThan(SUM);
        // the gradient by the transpose is the long sum: two products add to one result
        const input = new Variable("x", tensor(dy, [rows, dOut]));
        const twice = (): tf.Tensor => {
          const [first, second] = [0, 1].map(() => sum(mul(linear(input.value, weight.value, { transposed: !transposed, frozen: true }), tensor(x, [rows, dIn])))) as [tf.Tensor, tf.Tensor];
          return add(first, second);
        };
        const gradient = read(valueAndGradients(twice, [input]).gradients.get("x") as tf.Tensor);
        expect(error(gradient, product(x, w, rows, dOut, dIn, false, transposed).map((value) => 2 * value))).toBeLessThan(SUM);
        input.dispose();
        expect(weight.value.dataSync()).toEqual(w);
      });
      weight.dispose();
    }
  });

  test("a variable that is set anew is packed anew", () => {
    const [w, next, x] = [numbers(IN * OUT, 5), numbers(IN * OUT, 7), numbers(2 * IN)];
    const weight = frozen(w);
    forward(weight, x);
    weight.assign(tensor(next, [IN, OUT]));
    expect(error(forward(weight, x), product(x, next, 2, OUT, IN))).toBeLessThan(1e-6);
    weight.dispose();
  });

  test("a product that may skip takes its dense way by the packed weight and keeps the plain one", () => {
    const before = held();
    const [w, x] = [numbers(IN * OUT, 5), numbers(2 * IN)];
    const weight = frozen(w);
    const skipping = (breakEven: number): Float32Array => scope(() => read(sparseLinear(tensor(x, [2, IN]), weight.value, { frozen: true, breakEven })));
    const dense = skipping(0);
    expect(held()).toEqual(more(before, 1, 2));
    expect(dense).toEqual(forward(weight, x));
    expect(error(skipping(1), dense)).toBeLessThan(1e-6);
    weight.dispose();
    expect(held()).toEqual(before);
  });

  test("room of another size is refused", () => {
    const addon = loadAddon();
    expect(() => addon.pack(false, false, IN, OUT, numbers(IN * OUT), new Float32Array(7))).toThrow(/pack: room must/);
    expect(() => addon.pack(false, false, 0, OUT, new Float32Array(0), new Float32Array(0))).toThrow("pack: weight must be one that can be packed");
    expect(addon.packedSize(false, 0, OUT)).toBe(0);
  });
});

import { tf, useBackend } from "@deft-js/tensor";
import { beforeAll, expect, test } from "vitest";
import { describeNative, error, numbers, start } from "./native.ts";

type Build = (t: (shape: number[], seed?: number) => tf.Tensor) => tf.Tensor;

const CASES: Readonly<Record<string, Build>> = {
  "add, same shape": (t) => tf.add(t([3, 7]), t([3, 7], 2)),
  "add, suffix": (t) => tf.add(t([2, 3, 7]), t([7], 2)),
  "add, prefix": (t) => tf.add(t([5, 4, 3]), t([5, 1, 1], 2)),
  "sub, both repeated": (t) => tf.sub(t([4, 1, 3]), t([1, 5, 3], 2)),
  "mul, scalar at the left": (t) => tf.mul(t([]), t([2, 9], 2)),
  "div, six axes": (t) => tf.div(t([2, 1, 2, 1, 2, 3]), t([1, 3, 1, 2, 1, 1], 2)),
  "add, empty": (t) => tf.add(t([0, 3]), t([3], 2)),
  "maximum": (t) => tf.maximum(t([33]), t([33], 2)),
  "minimum": (t) => tf.minimum(t([3, 1]), t([1, 4], 2)),
  "squaredDifference": (t) => tf.squaredDifference(t([5, 5]), t([5], 2)),
  "integers fall through": (t) => tf.add(tf.cast(t([7]), "int32"), tf.cast(t([7], 2), "int32")),
  "cast of integers": (t) => tf.add(tf.cast(tf.cast(tf.mul(t([9]), 10), "int32"), "float32"), 0.5),
  "cast of booleans": (t) => tf.mul(tf.cast(tf.greater(t([19]), 0), "float32"), 3),
  ...Object.fromEntries(["neg", "square", "exp", "tanh", "sigmoid", "relu", "abs", "reciprocal"].map((name) => [name, ((t) => (tf as unknown as Record<string, (x: tf.Tensor) => tf.Tensor>)[name]!(t([4, 9]))) satisfies Build])),
  ...Object.fromEntries(["sqrt", "rsqrt", "log"].map((name) => [name, ((t) => (tf as unknown as Record<string, (x: tf.Tensor) => tf.Tensor>)[name]!(tf.abs(t([4, 9])))) satisfies Build])),
  "sum of all": (t) => tf.sum(t([3, 4, 5])),
  "sum over the last": (t) => tf.sum(t([3, 4, 5]), -1, true),
  "sum over the first": (t) => tf.sum(t([6, 70]), 0),
  "sum over the middle": (t) => tf.sum(t([3, 4, 5]), 1),
  "mean over two": (t) => tf.mean(t([3, 4, 5]), [0, 2]),
  "max over the first": (t) => tf.max(t([3, 4, 5]), 0),
  "softmax": (t) => tf.softmax(t([3, 19])),
  "transpose 2": (t) => tf.transpose(t([17, 33])),
  "transpose 4": (t) => tf.transpose(t([2, 3, 4, 5]), [0, 2, 1, 3]),
  "transpose 4, last moved": (t) => tf.transpose(t([2, 3, 4, 5]), [3, 1, 0, 2]),
  "transpose 5": (t) => tf.transpose(t([2, 1, 3, 2, 2]), [4, 3, 2, 1, 0]),
  "slice of rows": (t) => tf.slice(t([5, 4]), [1, 0], [3, 4]),
  "slice of a middle axis": (t) => tf.slice(t([3, 5, 4]), [0, 2, 0], [3, 2, 4]),
  "slice of two axes": (t) => tf.slice(t([3, 5, 4]), [0, 2, 1], [3, 2, 2]),
  "slice of nothing": (t) => tf.slice(t([3, 5]), [1, 0], [0, 5]),
  "pad of one axis": (t) => tf.pad(t([2, 3, 4]), [[0, 0], [1, 2], [0, 0]], 0.5),
  "pad of two axes": (t) => tf.pad(t([2, 3]), [[1, 0], [0, 2]]),
  "fill": (t) => tf.mul(tf.fill([3, 5], 0.1), t([5])),
  "fill, empty and of no axes": (t) => tf.concat([tf.fill([0], 2), tf.reshape(tf.fill([], -3), [1]), t([2])], 0),
  "fill with integers": () => tf.cast(tf.fill([4], 7, "int32"), "float32"),
  "concat": (t) => tf.concat([t([2, 3]), t([2, 4], 2), t([2, 0], 3)], 1),
  "gather": (t) => tf.gather(t([5, 3]), tf.tensor1d([4, 0, 4], "int32")),
  "matMul": (t) => tf.matMul(t([5, 7]), t([7, 3], 2)),
  "matMul, batches and transposes": (t) => tf.matMul(t([4, 7, 5]), t([4, 3, 7], 2), true, true),
  "matMul, shared": (t) => tf.matMul(t([3, 5, 7]), t([1, 7, 2], 2)),
  "tile, pad, reverse, one-hot": (t) => tf.concat([tf.tile(t([2, 2]), [1, 2]), tf.reverse(tf.pad(t([2, 2]), [[0, 0], [1, 1]]), 1), tf.cast(tf.oneHot(tf.tensor1d([1, 3], "int32"), 4), "float32")], 0),
};

describeNative("tfjs's kernels", (isa) => {
  beforeAll(() => start({ isa }));

  test.each(Object.entries(CASES))("%s is as on cpu", async (_, build) => {
    const compute = (): [Float32Array, number[]] =>
      tf.tidy(() => {
        const y = build((shape, seed = 1) => tf.tensor(numbers(tf.util.sizeFromShape(shape), seed), shape));
        return [Float32Array.from(y.dataSync()), y.shape];
      });
    const [actual, shape] = compute();
    await useBackend("cpu");
    const [expected, expectedShape] = compute();
    await useBackend("native");
    expect(shape).toEqual(expectedShape);
    expect(error(actual, expected)).toBeLessThan(1e-6);
  });

  test("a product of no example is one of none", () => { // tfjs's own kernel gives it values
    for (const [a, b] of [[[0, 3, 4], [1, 4, 5]], [[1, 3, 4], [0, 4, 5]], [[0, 3, 4], [4, 5]]] as const) {
      const y = tf.matMul(tf.ones([...a]), tf.ones([...b]));
      expect([y.shape, y.dataSync().length]).toEqual([[0, 3, 5], 0]);
    }
  });

  test("shapes that do not fit are refused", () => {
    expect(() => tf.add(tf.zeros([2, 3]), tf.zeros([4]))).toThrow();
    expect(() => tf.matMul(tf.zeros([2, 3]), tf.zeros([4, 2]))).toThrow();
    expect(() => tf.gather(tf.zeros([2, 3]), tf.tensor1d([2], "int32"))).toThrow(/ids must lie in/);
  });

  test("NaN and infinity go through", () => {
    const x = tf.tensor1d([NaN, Infinity, -Infinity, -1]);
    expect([...tf.relu(x).dataSync()]).toEqual([NaN, Infinity, 0, 0]);
    expect([...tf.exp(x).dataSync()].slice(0, 3)).toEqual([NaN, Infinity, 0]);
    expect([...tf.maximum(x, 0).dataSync()]).toEqual([NaN, Infinity, 0, 0]);
    expect(tf.max(x).dataSync()[0]).toBeNaN();
  });
});

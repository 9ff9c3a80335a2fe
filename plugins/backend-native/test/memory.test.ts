import { hostArray, tf } from "@deft-js/tensor";
import { beforeAll, describe, expect, test } from "vitest";
import type { NativeBackend } from "../src/backend.ts";
import { nativeStatus } from "../src/index.ts";
import { BufferPool, sizeClass } from "../src/pool.ts";
import { describeNative, numbers, start } from "./native.ts";

describe("buffer pool", () => {
  const make = (limit: number): BufferPool => new BufferPool({ limit, allocate: (bytes) => new ArrayBuffer(bytes) });

  test("a size class wastes at most an eighth, and is its own class", () => {
    for (let bytes = 257; bytes < 1e7; bytes = Math.floor(bytes * 1.07) + 1) {
      const size = sizeClass(bytes);
      expect(size).toBeGreaterThanOrEqual(bytes);
      expect(size).toBeLessThanOrEqual(bytes * 1.125 + 64);
      expect(sizeClass(size)).toBe(size);
    }
  });

  test("a buffer given back is used again, up to the bound", () => {
    const pool = make(5000);
    const [a, b] = [pool.take(1000), pool.take(1000)];
    pool.give(a);
    pool.give(b);
    expect(pool.statistics).toMatchObject({ live: 0, hits: 0, misses: 2, dropped: 1, free: sizeClass(4000), peak: 2 * sizeClass(4000) });
    expect(pool.take(990).buffer).toBe(a.buffer);
    expect(pool.statistics).toMatchObject({ hits: 1, free: 0 });
  });

  test("an array that fills memory of a class's size is taken over, and used again when it comes back", () => {
    const pool = make(5000);
    const [fitting, odd] = [new Float32Array(1024), new Float32Array(1003)];
    expect([pool.adopt(fitting), pool.adopt(odd), pool.adopt(fitting.subarray(1))]).toEqual([true, false, false]);
    expect(pool.statistics.live).toBe(4096);
    pool.give(fitting);
    expect(pool.statistics).toMatchObject({ live: 0, free: 4096 });
    expect(pool.take(1024).buffer).toBe(fitting.buffer);
  });

  test("arrays of others are not taken", () => {
    const pool = make(5000);
    pool.give(new Float32Array(9));
    expect(pool.statistics).toMatchObject({ live: 0, free: 0 });
  });
});

describeNative("storage", (isa) => {
  beforeAll(() => start({ isa }));

  test("a kernel that refuses its input leaves nothing behind", () => {
    const { pool } = tf.backend() as NativeBackend;
    const [table, far, dy, labels] = [tf.ones([4, 3]), tf.tensor1d([1, 9], "int32"), tf.ones([2, 3]), tf.tensor1d([0, 7], "int32")];
    const before = pool.statistics.live;
    for (let i = 0; i < 3; i++) {
      expect(() => tf.engine().runKernel("DeftGather", { x: table, ids: far, table } as tf.NamedTensorMap)).toThrow();
      expect(() => tf.gather(table, far)).toThrow();
      expect(() => tf.engine().runKernel("DeftCrossEntropy", { logits: dy, labels }, { ignoreIndex: -100 })).toThrow("labels must lie in");
    }
    expect(pool.statistics.live).toBe(before);
    tf.dispose([table, far, dy, labels]);
  });

  test("a host array that became a tensor is used again when that is disposed", () => {
    const own = hostArray(1 << 20).fill(3);
    const x = tf.tensor(own, [1 << 20]);
    const copy = x.dataSync();
    expect(copy).not.toBe(own);
    x.dispose();
    const y = tf.add(tf.zeros([1 << 20]), 1);
    expect([...copy.slice(0, 3)]).toEqual([3, 3, 3]);
    expect(own[0]).not.toBe(3); // its memory holds another tensor's values
    y.dispose();
  });

  test("values that were read are not written again", () => {
    const y = tf.add(tf.zeros([1000]), 1);
    const values = y.dataSync();
    y.dispose();
    const other = tf.add(tf.zeros([1000]), 2);
    expect(values[0]).toBe(1);
    other.dispose();
  });

  test("a slice outlives its source", () => {
    for (const cut of [(x: tf.Tensor) => tf.slice(x, [1, 0], [2, 500]), (x: tf.Tensor) => tf.slice(x, [0, 1], [1, 400]), (x: tf.Tensor) => tf.split(x, 2, 0)[1] as tf.Tensor, (x: tf.Tensor) => tf.unstack(x)[1] as tf.Tensor]) {
      const x = tf.add(tf.zeros([4, 500]), 3);
      const part = cut(x);
      x.dispose();
      const over = tf.add(tf.zeros([4, 500]), 9);
      expect(part.dataSync().every((v) => v === 3)).toBe(true);
      tf.dispose([part, over]);
    }
  });

  test("everything given back: live bytes and tensors are flat from step to step", () => {
    const step = (): void => tf.tidy(() => void tf.softmax(tf.matMul(tf.tensor2d(numbers(600), [20, 30]), tf.tensor2d(numbers(600), [30, 20]))));
    step();
    const before = [nativeStatus().pool?.live, tf.memory().numTensors, nativeStatus().pool?.misses];
    for (let i = 0; i < 50; i++) step();
    expect([nativeStatus().pool?.live, tf.memory().numTensors, nativeStatus().pool?.misses]).toEqual(before);
  });
});

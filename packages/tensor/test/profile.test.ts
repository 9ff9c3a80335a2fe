import { expect, test } from "vitest";
import { add, linear, ones, profileKernels, profileTable, read, scope, tf } from "../src/index.ts";

test("times each kernel by name, and leaves the back-end as it was", async () => {
  const before = tf.getKernelsForBackend("cpu").map((config) => config.kernelFunc);
  const profile = await profileKernels(() => scope(() => read(linear(add(ones([2, 2]), ones([2, 2])), ones([2, 2])))[0]));
  expect(tf.getKernelsForBackend("cpu").map((config) => config.kernelFunc)).toEqual(before);
  expect(profile.result).toBe(4);
  const calls = Object.fromEntries(profile.kernels.map(({ kernel, calls }) => [kernel, calls]));
  expect(calls).toMatchObject({ Add: 1, BatchMatMul: 1 });
  const inside = profile.kernels.reduce((sum, { ms }) => sum + ms, 0);
  expect(inside).toBeLessThanOrEqual(profile.ms);
  expect(profile.kernels.every(({ ms }) => ms >= 0)).toBe(true);
  expect(profile.kernels.map(({ ms }) => ms)).toEqual(profile.kernels.map(({ ms }) => ms).sort((a, b) => b - a));
  expect(profileTable(profile).split("\n").at(-1)).toContain("between kernels");
});

test("leaves the back-end as it was when the body throws", async () => {
  const before = tf.getKernelsForBackend("cpu").map((config) => config.kernelFunc);
  await expect(profileKernels(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(tf.getKernelsForBackend("cpu").map((config) => config.kernelFunc)).toEqual(before);
});

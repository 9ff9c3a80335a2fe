import { tf, useBackend } from "@deft-js/tensor";
import { beforeAll, describe, expect, it } from "vitest";
import { opSuite } from "../src/op-suite/index.ts";
import { failures } from "./failures.ts";

describe("op suite on cpu", () => {
  beforeAll(() => useBackend("cpu"));
  for (const check of opSuite()) it(check.name, check.run);
});

/** Changes what a kernel made, y, of its first input x, in rows of n. */
type Spoil = (y: Float32Array, x: Float32Array, n: number) => void;

/** e^x and its sum over each row of n, in float32 without the maximum taken out. */
const exponentials = (x: Float32Array, n: number) => x.map(Math.exp).map((_, i, all) => all.subarray(i - (i % n), i - (i % n) + n).reduce((sum, v) => Math.fround(sum + v), 0));
const after4096: Spoil = (y) => void y.fill(0, 4096);

/** A flaw of tfjs's kernel with this name on cpu, and the checks that must catch it. */
const CAUGHT: Readonly<Record<string, { readonly spoil: Spoil; readonly by: readonly string[] }>> = {
  Softmax: {
    spoil: (y, x, n) => y.set(exponentials(x, n).map((sum, i) => Math.fround(Math.exp(x[i]!)) / sum)),
    by: ["softmax of ±200: value", "softmax of ±200: gradient", "crossEntropy of ±200: gradient", ...["", " and padding"].flatMap((mask) => ["value", "gradient"].map((what) => `attention with scores of ±200${mask}: ${what}`))],
  },
  Max: { spoil: (y) => void y.fill(0), by: ["crossEntropy of ±200: value"] },
  Add: { spoil: after4096, by: ["add of 100003 elements: value"] },
  Multiply: { spoil: after4096, by: ["mul of 100003 elements: value"] },
};

describe("opSuite", () => {
  beforeAll(() => useBackend("cpu"));

  it.each(Object.entries(CAUGHT))("catches a flawed kernel %s", async (name, { spoil, by }) => {
    const kernel = tf.getKernel(name, "cpu") as tf.KernelConfig;
    const sound = kernel.kernelFunc;
    kernel.kernelFunc = (params) => {
      const made = sound(params) as tf.TensorInfo;
      const read = ({ dataId }: tf.TensorInfo) => (params.backend as tf.KernelBackend).readSync(dataId) as Float32Array;
      spoil(read(made), read(Object.values(params.inputs)[0] as tf.TensorInfo), made.shape.at(-1) ?? 1);
      return made;
    };
    const found = await failures(opSuite().filter(({ name: check }) => /±200|100003/.test(check)));
    kernel.kernelFunc = sound;
    expect([...found.keys()].sort()).toEqual([...by].sort());
  });
});

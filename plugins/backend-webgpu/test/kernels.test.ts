import { ops } from "@deft-js/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { attentionKernels } from "../src/kernels/attention.ts";
import type { WebGpuBackend } from "../src/tfjs-backend.ts";
import { folded } from "../src/wgsl.ts";
import { COMPILING, create, noAdapter } from "./adapter.ts";

const rng = new ops.Rng(9);
const compute = (): WebGpuBackend["compute"] => (ops.tf.backend() as WebGpuBackend).compute;
const random = (...shape: number[]): ops.Tensor => ops.tensor(rng.normals(shape.reduce((n, d) => n * d, 1), 1), shape);
const values = (info: ops.tf.TensorInfo): Float32Array => ops.read(ops.tf.engine().makeTensorFromTensorInfo(info));
const apart = (actual: ArrayLike<number>, expected: ArrayLike<number>): number => Array.from(expected).reduce((most, value, i) => Math.max(most, Math.abs(value - actual[i]!)), 0);
/** A kernel of the table, run as the ops do. */
const run = (name: string, inputs: Record<string, ops.Tensor>, attrs: object): ops.tf.TensorInfo[] => ops.tf.getKernel(name, "webgpu").kernelFunc({ inputs, attrs: attrs as never, backend: ops.tf.backend() }) as ops.tf.TensorInfo[];

describe.skipIf(noAdapter !== undefined)("kernels on webgpu", () => {
  beforeAll(async () => {
    await create().start({ software: true });
    ops.tf.env().set("WEBGPU_CPU_FORWARD", false);
  });
  afterAll(() => ops.tf.env().set("WEBGPU_CPU_FORWARD", true));

  test.each([1, 3])("attention that holds the scores of few examples at a time is the same, a bias of %i", (biases) => {
    ops.scope(() => {
      const [heads, dropout, seed] = [2, 0.3, 11];
      const [q, k, v, dy] = [random(3, 4, 6), random(3, 5, 6), random(3, 5, 6), random(3, 4, 6)] as const;
      const given = { q, k, v, mask: ops.tensor([1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 0, 1, 0, 1], [3, 5]), bias: random(biases, heads, 4, 5) };
      const attrs = { heads, scale: 0.5, causal: true, dropout, seed };
      const [whole, parts] = [1e6, 2 * 2 * 4 * 5].map((most) => {
        const kernels = attentionKernels(most);
        const [context, logSumExp] = kernels.attention(compute(), given, attrs) as [ops.tf.TensorInfo, ops.tf.TensorInfo];
        const gradients = kernels.attentionGradient(compute(), { ...given, logSumExp, dy }, { ...attrs, biasGradient: true });
        return [context, logSumExp, ...gradients].map(values);
      });
      expect(parts).toHaveLength(6);
      expect(parts![5]!.some((value) => value !== 0)).toBe(true);
      parts!.forEach((part, i) => expect(apart(part, whole![i]!)).toBeLessThan(1e-6));
    });
  }, COMPILING);

  test("tanh is as exact for small numbers as for large ones", () => {
    const x = Float32Array.from({ length: 4000 }, (_, i) => (i % 2 ? -1 : 1) * 1e-6 * 1.004 ** i); // to 8.6, through the joint of series and exponential at 1/4
    const y = ops.scope(() => ops.read(ops.tanh(ops.tensor(x, [x.length]))));
    expect(y.reduce((most, value, i) => Math.max(most, Math.abs(value / Math.tanh(x[i]!) - 1)), 0)).toBeLessThan(2e-6);
  }, COMPILING);

  // Rows without a key: in all of them by padding, by order (more queries than keys), and by both.
  test.each([
    [3, 3, false, [0, 0, 0, 1, 0, 1]],
    [5, 3, true, undefined],
    [5, 3, true, [0, 1, 1, 0, 0, 0]],
  ] as const)("attention from %i queries to %i keys with rows that see none, causal: %s", async (queries, keys, causal, mask) => {
    const hosts = Object.entries({ q: queries, k: keys, v: keys }).map(([name, length]) => [name, rng.normals(2 * length * 4, 1), [2, length, 4]] as const);
    const upstream = rng.normals(2 * queries * 4, 1);
    const found = (): Float32Array[] => ops.scope(() => {
      const variables = hosts.map(([name, host, shape]) => ops.Variable.from(name, host, shape));
      const [q, k, v] = variables.map(({ value }) => value) as [ops.Tensor, ops.Tensor, ops.Tensor];
      const attended = (): ops.Tensor => ops.attention(q, k, v, { heads: 2, scale: 0.7, causal, mask: mask && ops.tensor([...mask], [2, keys]) });
      const { value, gradients } = ops.valueAndGradients(() => ops.sum(ops.mul(attended(), ops.tensor(upstream, [2, queries, 4]))), variables);
      const all = [value, attended(), ...gradients.values()].map((x) => ops.read(x));
      for (const variable of variables) variable.dispose();
      return all;
    });
    const actual = found();
    await ops.useBackend("cpu");
    const expected = found();
    await ops.useBackend("webgpu");
    expected.forEach((part, i) => expect(apart(actual[i]!, part)).toBeLessThan(1e-5));
  }, COMPILING);

  test("a gradient is written over the sum so far, unless another handle is on it", () => {
    ops.scope(() => {
      const [dy, weight, sum] = [random(4, 3), random(5, 3), random(4, 5)];
      const expected = ops.read(ops.add(sum, ops.matMul(dy, weight, { transposeB: true })));
      const before = ops.read(sum);
      const other = ops.tf.clone(sum);
      const [apartFrom] = run("DeftLinearInputGradient", { dy, weight, sum }, { transposed: false, frozen: true }) as [ops.tf.TensorInfo];
      expect(apartFrom.dataId).not.toBe(sum.dataId);
      expect(ops.read(other)).toEqual(before);
      other.dispose();
      const [onto] = run("DeftLinearInputGradient", { dy, weight, sum }, { transposed: false, frozen: true }) as [ops.tf.TensorInfo];
      expect(onto.dataId).toBe(sum.dataId);
      for (const dx of [apartFrom, onto]) expect(apart(values(dx), expected)).toBeLessThan(1e-5);
    });
  });

  test("no memory is taken from an input that the kernel reads under another name", () => {
    ops.scope(() => {
      const [z, gamma, mean, rstd] = [random(4, 3), random(3), random(4), random(4)];
      const [dz] = run("DeftNormGradient", { dy: z, z, gamma, mean, rstd }, { kind: "rms", parameters: false }) as [ops.tf.TensorInfo];
      expect(dz.dataId).not.toBe(z.dataId);
    });
  });

  test("operators take numbers from the host and from the device, integers that are floats in name, and what tfjs must broadcast", () => {
    ops.scope(() => {
      const x = ops.scale(ops.tensor([1, 2, 3, 4, 5, 6], [2, 3]), 1);
      const two = ops.sum(ops.tensor([0.5, 1.5], [2]));
      const whole = ops.tf.cast(ops.tf.greater(x, 3), "float32");
      expect([...ops.read(ops.tf.sub(10, x))]).toEqual([9, 8, 7, 6, 5, 4]);
      expect([...ops.read(ops.tf.div(x, 2))]).toEqual([0.5, 1, 1.5, 2, 2.5, 3]);
      expect([...ops.read(ops.tf.div(two, x))].map((value) => Math.round(value * 60))).toEqual([120, 60, 40, 30, 24, 20]);
      expect([...ops.read(ops.tf.mul(x, whole))]).toEqual([0, 0, 0, 4, 5, 6]);
      expect([...ops.read(ops.tf.add(x, ops.tensor([10, 20], [2, 1])))]).toEqual([11, 12, 13, 24, 25, 26]);
      expect(ops.tf.mul(ops.tensor([3], [1, 1]), ops.tensor([1, 2], [2])).shape).toEqual([1, 2]);
      expect([...ops.read(ops.tf.fill([2, 2], -0.25))]).toEqual([-0.25, -0.25, -0.25, -0.25]);
      expect([...ops.tf.fill([2], 7, "int32").dataSync()]).toEqual([7, 7]);
    });
  }, COMPILING);

  test.each([
    [[2, 3, 4], [2, 4, 5], false, false],
    [[3, 4], [2, 5, 4], false, true],
    [[2, 4, 3], [1, 4, 5], true, false],
    [[2, 3, 0], [2, 0, 5], false, false],
  ] as const)("stacks of matrices %j and %j", async (shapeA, shapeB, transposeA, transposeB) => {
    const [a, b] = [shapeA, shapeB].map((shape) => rng.normals(shape.reduce<number>((n, d) => n * d, 1), 1)) as [Float32Array, Float32Array];
    const found = (): { shape: number[]; values: Float32Array } => ops.scope(() => {
      const y = ops.tf.matMul(ops.tensor(a, shapeA), ops.tensor(b, shapeB), transposeA, transposeB);
      return { shape: y.shape, values: ops.read(y) };
    });
    const actual = found();
    await ops.useBackend("cpu");
    const expected = found();
    await ops.useBackend("webgpu");
    expect(actual.shape).toEqual(expected.shape);
    expect(apart(actual.values, expected.values)).toBeLessThan(1e-5);
  }, COMPILING);

  test.each(["relu", "gelu", "gelu_new", "silu", "tanh"] as const)("%s of NaN is NaN", (kind) => {
    expect([...ops.scope(() => ops.read(ops.activation(ops.scale(ops.tensor([NaN, 0], [2]), 1), kind)))]).toEqual([NaN, 0]);
  }, COMPILING);

  test("what has been read is read anew once the device has changed it in place", () => {
    const [value, first, second] = ["p", "m", "v"].map((name) => ops.Variable.from(name, Float32Array.of(1, 2, 3), [3])) as [ops.Variable, ops.Variable, ops.Variable];
    expect([...value.data()]).toEqual([1, 2, 3]);
    ops.scope(() => ops.adamWStep({ value, first, second }, ops.tensor([1, 1, 1], [3]), { learningRate: 0.5, beta1: 0.5, beta2: 0.5, epsilon: 0.1, weightDecay: 0.2, step: 2 }));
    const expected = [1, 2, 3].map((x) => {
      const [m, v] = [x * 0.5 + 0.5, x * 0.5 + 0.5];
      return x * 0.9 - (m / (Math.sqrt(v) / Math.sqrt(0.75) + 0.1)) * (0.5 / 0.75);
    });
    expect(apart(value.data(), expected)).toBeLessThan(1e-6);
    expect([...first.data()]).toEqual([1, 1.5, 2]);
    for (const variable of [value, first, second]) variable.dispose();
  });

  test("a read that is under way while the device changes a tensor gives the old values, and the next one the new", async () => {
    const [value, first, second] = ["p", "m", "v"].map((name) => new ops.Variable(name, ops.scope(() => ops.scale(ops.tensor([4, 4], [2]), 0.5)))) as [ops.Variable, ops.Variable, ops.Variable];
    const under = ops.readAsync(first.value);
    ops.scope(() => ops.adamWStep({ value, first, second }, ops.tensor([1, 1], [2]), { learningRate: 0.5, beta1: 0.5, beta2: 0.5, epsilon: 0.1, weightDecay: 0, step: 1 }));
    expect([...(await under)]).toEqual([2, 2]);
    expect([...ops.read(first.value)]).toEqual([1.5, 1.5]);
    for (const variable of [value, first, second]) variable.dispose();
  });

  test("more workgroups than WebGPU has along one axis", () => {
    expect([0, 65_535, 65_536].map(folded)).toEqual([[0, 1, 1], [65_535, 1, 1], [65_535, 2, 1]]);
    ops.scope(() => {
      const size = 65_536 * 256 + 5;
      const y = ops.read(ops.tf.fill([size], 3));
      expect(y.length).toBe(size);
      expect(y.every((value) => value === 3)).toBe(true);
    });
  }, COMPILING);

  test("in the second step and later, launches bind what the first have bound", () => {
    const once = (): void => ops.scope(() => void ops.read(ops.softmax(ops.linear(ops.scale(ops.ones([30, 20]), 2), ops.ones([20, 10])))));
    once();
    once();
    const { launches, bindGroups } = compute().counts;
    once();
    expect(compute().counts.launches).toBeGreaterThan(launches);
    expect(compute().counts.bindGroups).toBe(bindGroups);
  });
});

import { ops } from "@deft-js/core";
import { beforeAll, describe, expect, test } from "vitest";
import { multiply } from "../src/kernels/product.ts";
import type { WebGpuBackend } from "../src/tfjs-backend.ts";
import { COMPILING, create, noAdapter } from "./adapter.ts";

const rng = new ops.Rng(5);
const compute = (): WebGpuBackend["compute"] => (ops.tf.backend() as WebGpuBackend).compute;

interface Given {
  readonly values: Float32Array;
  readonly tensor: ops.Tensor;
  readonly rows: number;
  readonly columns: number;
}

function given(rows: number, columns: number): Given {
  const values = rng.normals(rows * columns, 1);
  return { values, rows, columns, tensor: ops.tensor(values, [rows, columns]) };
}

/** a·b in float64. */
function reference(a: Given, b: Given, transposeA: boolean, transposeB: boolean): Float64Array {
  const [m, k] = transposeA ? [a.columns, a.rows] : [a.rows, a.columns];
  const n = transposeB ? b.rows : b.columns;
  const y = new Float64Array(m * n);
  for (let i = 0; i < m; i++) {
    for (let inner = 0; inner < k; inner++) {
      const left = a.values[transposeA ? inner * m + i : i * k + inner]!;
      for (let j = 0; j < n; j++) y[i * n + j]! += left * b.values[transposeB ? j * k + inner : inner * n + j]!;
    }
  }
  return y;
}

const apart = (actual: ArrayLike<number>, expected: ArrayLike<number>): number => Array.from(expected).reduce((most, value, i) => Math.max(most, Math.abs(value - actual[i]!)), 0);

describe.skipIf(noAdapter !== undefined)("products on webgpu", () => {
  beforeAll(() => create().start({ software: true }));

  // one tile, tiles with edges, a long inner axis in parts, large tiles
  const sizes = [[3, 5, 7], [70, 33, 131], [9, 1300, 11], [65, 700, 66], [1217, 9, 1170]] as const;
  const forms = [[false, false], [false, true], [true, false], [true, true]] as const;
  test.each(sizes.flatMap((size) => forms.map((form) => [...size, ...form] as const)))("%i×%i×%i, a transposed: %s, b transposed: %s", (m, k, n, transposeA, transposeB) => {
    ops.scope(() => {
      const [a, b] = [transposeA ? given(k, m) : given(m, k), transposeB ? given(n, k) : given(k, n)];
      const y = compute().make([m, n]);
      const product = { m, n, k, a: { tensor: a.tensor, transposed: transposeA, stride: a.columns }, b: { tensor: b.tensor, transposed: transposeB, stride: b.columns }, y: { tensor: y, stride: n } };
      multiply(compute(), product);
      const actual = ops.read(ops.tf.engine().makeTensorFromTensorInfo(y));
      expect(apart(actual, reference(a, b, transposeA, transposeB))).toBeLessThan(1e-5 * Math.sqrt(k) * 5);
    });
  }, COMPILING);

  test("a product in parts is the same each time, and has its bias, activation and slope", async () => {
    const [x, w] = [given(5, 1500), given(1500, 7)];
    const bias = rng.normals(7, 1);
    const layer = (): [Float32Array, Float32Array] => {
      const weight = ops.Variable.from("w", w.values.map((value) => value / 40), [1500, 7]);
      const gradients = ops.valueAndGradients(() => ops.sum(ops.linear(x.tensor, weight.value, { bias: ops.tensor(bias, [7]), activation: "gelu" })), [weight]);
      const found = [ops.read(gradients.value), ops.read(gradients.gradients.get("w") as ops.Tensor)] as [Float32Array, Float32Array];
      weight.dispose();
      return found;
    };
    const first = ops.scope(layer);
    expect(ops.scope(layer)).toEqual(first);
    await ops.useBackend("cpu");
    x.tensor.dispose();
    const onCpu = { ...x, tensor: ops.tensor(x.values, [5, 1500]) };
    Object.assign(x, onCpu);
    const expected = ops.scope(layer);
    await create().start({ software: true });
    expect(apart(first[0], expected[0])).toBeLessThan(1e-4);
    expect(apart(first[1], expected[1])).toBeLessThan(1e-4);
  }, COMPILING);
});

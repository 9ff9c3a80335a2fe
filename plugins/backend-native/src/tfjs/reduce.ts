import { tf } from "@deft-js/tensor";
import type { NativeBackend } from "../backend.ts";
import { asMatrix, required, type TfjsKernel } from "../kernel.ts";
import { transposed } from "./shape.ts";

type Fold = (backend: NativeBackend, x: Float32Array, y: Float32Array, rows: number, n: number) => void;

interface Reduction {
  readonly last: Fold;
  /** Over the first axes, where there is a kernel for it. */
  readonly first?: Fold;
}

/** Reduces any axes: the last ones at once, the first ones where the kernel can, others after a transposition. */
function reduce({ last, first }: Reduction, axisName: string): TfjsKernel {
  return (backend, inputs, attrs) => {
    const x = required(inputs, "x", "reduce");
    const rank = x.shape.length;
    const axes = tf.util.parseAxisParam((attrs[axisName] ?? x.shape.map((_, i) => i)) as number | number[], x.shape).sort((p, q) => p - q);
    if (x.dtype !== "float32" || rank > 4 || axes.length === 0) return undefined;
    const kept = x.shape.map((_, i) => i).filter((i) => !axes.includes(i));
    const n = axes.reduce((size, i) => size * (x.shape[i] as number), 1);
    const rows = kept.reduce((size, i) => size * (x.shape[i] as number), 1);
    if (n === 0) return undefined;
    const shape = attrs["keepDims"] === true ? x.shape.map((size, i) => (axes.includes(i) ? 1 : size)) : kept.map((i) => x.shape[i] as number);
    const [y, values] = backend.make(shape);
    if (axes.every((axis, i) => axis === rank - axes.length + i)) last(backend, backend.floats(x), values, rows, n);
    else if (first !== undefined && axes.every((axis, i) => axis === i)) first(backend, backend.floats(x), values, n, rows);
    else {
      const turned = backend.pool.take(rows * n);
      transposed(backend, x, [...kept, ...axes], turned);
      last(backend, turned, values, rows, n);
      backend.pool.give(turned);
    }
    return y;
  };
}

const sum: Reduction = {
  last: (backend, x, y, rows, n) => backend.addon.sumLast(1, rows, n, x, y),
  first: (backend, x, y, rows, n) => backend.addon.sumFirst(1, rows, n, x, y),
};
const mean: Reduction = {
  last: (backend, x, y, rows, n) => backend.addon.sumLast(1 / n, rows, n, x, y),
  first: (backend, x, y, rows, n) => backend.addon.sumFirst(1 / rows, rows, n, x, y),
};
const max: Reduction = { last: (backend, x, y, rows, n) => backend.addon.maxLast(rows, n, x, y) };

const softmax: TfjsKernel = (backend, inputs, { dim }) => {
  const logits = required(inputs, "logits", "softmax");
  const last = logits.shape.length - 1;
  if (logits.dtype !== "float32" || (dim !== last && dim !== -1)) return undefined;
  const [rows, n] = asMatrix(logits);
  const [y, values] = backend.make(logits.shape);
  backend.addon.softmax(rows, n, backend.floats(logits), values);
  return y;
};

/** The reductions of tfjs, by name. */
export const REDUCTIONS: Readonly<Record<string, TfjsKernel>> = {
  Sum: reduce(sum, "axis"),
  Mean: reduce(mean, "axis"),
  Max: reduce(max, "reductionIndices"),
  Softmax: softmax,
};

import { tf } from "@deft-js/tensor";
import type { NativeBackend } from "../backend.ts";
import { required, sizeOf, type TfjsKernel } from "../kernel.ts";

type Four = [number, number, number, number];

/** Writes x with its axes in the order `axes` into `y`; x has at most four axes. */
export function transposed(backend: NativeBackend, x: tf.TensorInfo, axes: readonly number[], y: Float32Array): void {
  const pad = 4 - x.shape.length;
  const front = Array.from({ length: pad }, (_, i) => i);
  const sizes = [...front.map(() => 1), ...x.shape] as Four;
  const positions = [...front, ...axes.map((axis) => axis + pad)] as Four;
  backend.addon.transpose(...sizes, ...positions, backend.floats(x), y);
}

const transpose: TfjsKernel = (backend, inputs, { perm }) => {
  const x = required(inputs, "x", "transpose");
  const axes = perm as number[];
  if (x.dtype !== "float32" || x.shape.length > 4) return undefined;
  const [y, values] = backend.make(axes.map((axis) => x.shape[axis] as number));
  transposed(backend, x, axes, values);
  return y;
};

const slice: TfjsKernel = (backend, inputs, { begin, size }) => {
  const x = required(inputs, "x", "slice");
  if (x.dtype !== "float32") return undefined;
  const [starts = [], sizes = []] = tf.slice_util.parseSliceParams(x as tf.Tensor, begin as number[], size as number[]);
  tf.slice_util.assertParamsValid(x as tf.Tensor, starts, sizes);
  const cut = x.shape.map((full, i) => full !== sizes[i]);
  // one cut axis: a block of columns of the matrix whose columns begin at that axis
  const axis = cut.indexOf(true);
  if (axis !== cut.lastIndexOf(true)) return undefined;
  const [y, values] = backend.make(sizes);
  if (axis < 0) values.set(backend.floats(x));
  else {
    const inner = tf.util.sizeFromShape(x.shape.slice(axis + 1));
    const rows = tf.util.sizeFromShape(x.shape.slice(0, axis));
    const n = (sizes[axis] as number) * inner;
    backend.addon.copyBlock(rows, (x.shape[axis] as number) * inner, (starts[axis] as number) * inner, n, 0, n, backend.floats(x), values);
  }
  return y;
};

const pad: TfjsKernel = (backend, inputs, { paddings, constantValue }) => {
  const x = required(inputs, "x", "pad");
  const widths = paddings as [before: number, after: number][];
  const padded = widths.flatMap(([before, after], axis) => (before + after > 0 ? [axis] : []));
  const axis = padded[0];
  if (x.dtype !== "float32" || padded.length !== 1 || axis === undefined) return undefined;
  const [before, after] = widths[axis] as [number, number];
  const inner = tf.util.sizeFromShape(x.shape.slice(axis + 1));
  const rows = tf.util.sizeFromShape(x.shape.slice(0, axis));
  const size = x.shape[axis] as number;
  const [y, values] = backend.make(x.shape.map((full, i) => (i === axis ? before + full + after : full)));
  values.fill(constantValue as number);
  backend.addon.copyBlock(rows, size * inner, 0, (before + size + after) * inner, before * inner, size * inner, backend.floats(x), values);
  return y;
};

const concat: TfjsKernel = (backend, inputs, attrs) => {
  const parts = Object.values(inputs);
  const first = parts[0];
  if (first === undefined || parts.some((part) => part.dtype !== "float32")) return undefined;
  const axis = tf.util.parseAxisParam(attrs["axis"] as number, first.shape)[0] as number;
  const shape = tf.backend_util.computeOutShape(parts.map((part) => part.shape), axis);
  tf.backend_util.assertParamsConsistent(parts.map((part) => part.shape), axis);
  const [y, values] = backend.make(shape);
  const inner = tf.util.sizeFromShape(shape.slice(axis + 1));
  const rows = tf.util.sizeFromShape(shape.slice(0, axis));
  const width = (shape[axis] as number) * inner;
  let offset = 0;
  for (const part of parts) {
    const n = (part.shape[axis] as number) * inner;
    backend.addon.copyBlock(rows, n, 0, width, offset, n, backend.floats(part), values);
    offset += n;
  }
  return y;
};

const gather: TfjsKernel = (backend, inputs, { axis, batchDims }) => {
  const x = required(inputs, "x", "gather");
  const indices = required(inputs, "indices", "gather");
  if (x.dtype !== "float32" || axis !== 0 || batchDims !== 0) return undefined;
  const inner = x.shape.slice(1);
  const [y, values] = backend.make([...indices.shape, ...inner]);
  backend.addon.gather(sizeOf(indices), x.shape[0] ?? 0, tf.util.sizeFromShape(inner), backend.floats(x), backend.integers(indices), values);
  return y;
};

const batchMatMul: TfjsKernel = (backend, inputs, attrs) => {
  const a = required(inputs, "a", "matMul");
  const b = required(inputs, "b", "matMul");
  const [transposeA, transposeB] = [attrs["transposeA"] === true, attrs["transposeB"] === true];
  if (a.dtype !== "float32" || b.dtype !== "float32") return undefined;
  const [leadA, leadB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
  const [batchA, batchB] = [tf.util.sizeFromShape(leadA), tf.util.sizeFromShape(leadB)];
  if (batchA !== batchB && batchA !== 1 && batchB !== 1) return undefined;
  if (batchA === batchB && leadA.join() !== leadB.join()) return undefined;
  const [rowsA = 0, columnsA = 0] = a.shape.slice(-2);
  const [rowsB = 0, columnsB = 0] = b.shape.slice(-2);
  const [m, k] = transposeA ? [columnsA, rowsA] : [rowsA, columnsA];
  const [inner, n] = transposeB ? [columnsB, rowsB] : [rowsB, columnsB];
  if (k !== inner || k === 0) return undefined;
  const batch = batchA === 1 ? batchB : batchA;
  const lead = tf.backend_util.assertAndGetBroadcastShape(leadA, leadB);
  const [y, values] = backend.make([...lead, m, n]);
  backend.addon.batchProduct(transposeA, transposeB, batch, m, n, k, batchA === 1 && batch !== 1, batchB === 1 && batch !== 1, backend.floats(a), backend.floats(b), values);
  return y;
};

const fill: TfjsKernel = (backend, _inputs, { shape, value, dtype }) => {
  if (dtype !== "float32") return undefined;
  const [y, values] = backend.make(shape as number[]);
  values.fill(value as number);
  return y;
};

/** The kernels of tfjs that move data or multiply matrices, by name. */
export const SHAPES: Readonly<Record<string, TfjsKernel>> = { Transpose: transpose, Slice: slice, Concat: concat, PadV2: pad, GatherV2: gather, Fill: fill, BatchMatMul: batchMatMul };

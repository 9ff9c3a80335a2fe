import { tf } from "./tfjs.ts";

/** The number of elements. */
export function sizeOf(info: tf.TensorInfo): number {
  return tf.util.sizeFromShape(info.shape);
}

/** A tensor as a matrix: its last axis, and the product of the others. */
export function asMatrix(info: tf.TensorInfo): [rows: number, columns: number] {
  const columns = info.shape.at(-1) ?? 1;
  return [tf.util.sizeFromShape(info.shape.slice(0, -1)), columns];
}

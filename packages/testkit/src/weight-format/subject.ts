import { ops, transposeMatrix, type Weight, type WeightFormat, type WeightLayout } from "@deft-js/core";

/** What the suite for weight formats is run on. */
export interface WeightFormatSubject {
  /** The configured format, which accepts any path. */
  format(): WeightFormat;
  /** What a matrix [dOut, dIn] stands for once it is encoded, where that is known exactly; this or `error` must be given. */
  expected?(values: Float32Array, shape: { readonly dOut: number; readonly dIn: number }): Float32Array;
  /** How far an encoded value may be from the given one, as a share of the greatest |value|; checked where `expected` is left out. */
  readonly error?: number;
  /** The most bytes that a matrix may hold. */
  bytes(dOut: number, dIn: number): number;
  /** A layout that can store it in a model folder, and what config.json then says is enough to find it again. */
  readonly layout?: WeightLayout | undefined;
}

/** [rows, dIn, dOut]: one row and several, whole blocks and odd lengths. */
export const SIZES = [[1, 64, 8], [3, 128, 16], [12, 64, 24], [2, 7, 5], [11, 33, 9]] as const;
/** The linear site that matrices are encoded for. */
export const PATH = "toy.encoder.layer.0.attention.self.query";

/** Normal values with an exact zero. */
export function given(dOut: number, dIn: number): Float32Array {
  const values = new ops.Rng(3).fork(`${dOut}/${dIn}`).normals(dOut * dIn, 0.1);
  values[0] = 0;
  return values;
}

/** The given values of a size, encoded. */
export function encoded({ format }: WeightFormatSubject, dOut: number, dIn: number): Weight {
  return format().encode(PATH, given(dOut, dIn), { dOut, dIn });
}

/** The matrix that a weight stands for in file layout, [dOut, dIn]. */
export function fileValues(weight: Weight): Float32Array {
  return transposeMatrix(ops.scope(() => ops.read(weight.dense())), weight.shape[0], weight.shape[1]);
}

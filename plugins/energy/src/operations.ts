import { ops } from "@deft-js/core";
import type { EnergyConstants } from "./options.ts";

const FLOAT_BYTES = 4;

/** What went into a linear layer, summed over its calls. */
export interface Inputs {
  readonly calls: number;
  /** Positions, padded ones too. */
  readonly rows: number;
  /** Input elements that must be multiplied. */
  readonly nonzeros: number;
  /** Rows of the weight [dIn, dOut] that at least one position of a call needs, summed over calls. */
  readonly weightRows: number;
}

/** The sizes of a linear layer, [dIn, dOut], and the bytes that its matrix is held in. */
export interface LinearShape {
  readonly dIn: number;
  readonly dOut: number;
  readonly weightBytes: number;
}

/** Work and its energy, of one machine. */
export interface Operations {
  /** Multiply-accumulates. */
  readonly macs: number;
  /** Weights read once a call, activations read and written. */
  readonly bytes: number;
  readonly picojoules: number;
}

/** One input without a look at its values: everything is multiplied. */
export function denseInputs(rows: number, dIn: number): Inputs {
  return { calls: 1, rows, nonzeros: rows * dIn, weightRows: dIn };
}

/** Counts x's elements that are not exactly 0, and its columns that have any; dIn numbers leave the device. @param x [..., dIn] */
export function sparseInputs(x: ops.Tensor, dIn: number): Inputs {
  const { tf } = ops;
  const rows = x.size / dIn;
  const byNeuron = ops.noGradient(() => ops.scope(() => ops.read(tf.sum(tf.cast(tf.notEqual(ops.reshape(x, [rows, dIn]), 0), "float32"), 0)))); // [dIn]
  return { calls: 1, rows, nonzeros: byNeuron.reduce((sum, count) => sum + count, 0), weightRows: byNeuron.filter((count) => count > 0).length };
}

/**
 * What a linear layer costs: MACs n·dOut for n multiplied inputs; bytes W·r/dIn + 4·rows·(dIn + dOut) for r rows of a matrix of W bytes;
 * energy MACs·(multiply + add) + bytes/4·dram.
 */
export function operationsOf({ dIn, dOut, weightBytes }: LinearShape, { rows, nonzeros, weightRows }: Inputs, { multiply, add, dram }: EnergyConstants): Operations {
  const macs = nonzeros * dOut;
  const bytes = (weightBytes * weightRows) / dIn + FLOAT_BYTES * rows * (dIn + dOut);
  return { macs, bytes, picojoules: macs * (multiply + add) + (bytes / FLOAT_BYTES) * dram };
}

/** The same inputs with nothing left out. */
export function withoutSkipping({ calls, rows }: Inputs, dIn: number): Inputs {
  return { calls, rows, nonzeros: rows * dIn, weightRows: calls * dIn };
}

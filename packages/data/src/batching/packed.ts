import type { Encoded } from "@deft-js/core";

/** Rows of integers of different lengths in one array. */
export class PackedRows {
  readonly lengths: Int32Array;
  readonly #offsets: Int32Array;
  readonly #values: Int32Array;

  constructor(rows: readonly (readonly number[])[]) {
    this.lengths = Int32Array.from(rows, (row) => row.length);
    this.#offsets = new Int32Array(rows.length);
    let total = 0;
    for (const [i, row] of rows.entries()) {
      this.#offsets[i] = total;
      total += row.length;
    }
    this.#values = new Int32Array(total);
    for (const [i, row] of rows.entries()) this.#values.set(row, this.#offsets[i] as number);
  }

  /** Row i, as a view. */
  row(i: number): Int32Array {
    const offset = this.#offsets[i] as number;
    return this.#values.subarray(offset, offset + (this.lengths[i] as number));
  }

  /** The longest of some rows. */
  longest(indices: Int32Array): number {
    let longest = 0;
    for (const i of indices) longest = Math.max(longest, this.lengths[i] as number);
    return longest;
  }

  /** Some rows padded on the right to `width`: [rows, width] row by row. */
  padded(indices: Int32Array, width: number, padding: number): Int32Array {
    const out = new Int32Array(indices.length * width).fill(padding);
    for (const [row, i] of indices.entries()) out.set(this.row(i), row * width);
    return out;
  }
}

/** The examples of a split in typed arrays. */
export interface PackedExamples {
  readonly ids: PackedRows;
  /** Absent when no example has token types. */
  readonly types: PackedRows | undefined;
  /** Class indices or scores, [n]; absent for label ids. */
  readonly values: Float64Array | undefined;
  /** Label ids; absent for classes and scores. */
  readonly labelIds: PackedRows | undefined;
}

/** Packs encoded examples. All of them have token types or none, all have label ids or none. */
export function packed(examples: readonly Encoded[]): PackedExamples {
  const first = examples[0];
  const sequences = Array.isArray(first?.label);
  return {
    ids: new PackedRows(examples.map((example) => example.inputIds)),
    types: first?.tokenTypeIds === undefined ? undefined : new PackedRows(examples.map((example) => example.tokenTypeIds ?? [])),
    values: sequences ? undefined : Float64Array.from(examples, (example) => example.label as number),
    labelIds: sequences ? new PackedRows(examples.map((example) => example.label as readonly number[])) : undefined,
  };
}

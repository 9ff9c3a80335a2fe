import type { HostBatch } from "@deft-js/core";
import type { PackedExamples } from "./packed.ts";

/** The label id that does not count. */
export const IGNORED = -100;

type Rows = readonly ArrayLike<number>[];

/** Inputs with what follows them in one row each, padded on the right; labels [size, seq] are −100 on the inputs and the padding. */
export function causalBatch(indices: Int32Array, { ids, labelIds }: PackedExamples, padId: number): HostBatch {
  const inputs = [...indices].map((i) => ids.row(i));
  const targets = [...indices].map((i) => labelIds?.row(i) ?? new Int32Array());
  const rows = inputs.map((input, r) => [...input, ...(targets[r] as Int32Array)]);
  const batch = batchOf(rows, padId, "right");
  const labels = new Int32Array(batch.size * batch.seq).fill(IGNORED);
  for (const [r, target] of targets.entries()) labels.set(target, r * batch.seq + (inputs[r] as Int32Array).length);
  return { ...batch, labels, labelSeq: batch.seq };
}

/** Inputs alone, padded on the left: what a decoder goes on from. */
export function promptBatch(indices: Int32Array, { ids }: PackedExamples, padId: number): HostBatch {
  return batchOf([...indices].map((i) => ids.row(i)), padId, "left");
}

function batchOf(rows: Rows, padId: number, side: "left" | "right"): HostBatch {
  const size = rows.length;
  const seq = rows.reduce((most, { length }) => Math.max(most, length), 0);
  const inputIds = new Int32Array(size * seq).fill(padId); // [size, seq]
  const attentionMask = new Float32Array(size * seq); // [size, seq]
  for (const [r, row] of rows.entries()) {
    const start = r * seq + (side === "left" ? seq - row.length : 0);
    inputIds.set(row, start);
    attentionMask.fill(1, start, start + row.length);
  }
  return { size, seq, inputIds, attentionMask };
}

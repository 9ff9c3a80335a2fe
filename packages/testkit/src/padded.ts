import type { HostBatch } from "@deft-js/core";

/** The same batch with `columns` padded positions at the right. */
export function padded(host: HostBatch, columns: number, padId: number): HostBatch {
  const { size, seq } = host;
  const wide = seq + columns;
  const widen = <T extends Int32Array | Float32Array>(values: T, fill: number): T => {
    const out = new (values.constructor as new (n: number) => T)(size * wide).fill(fill) as T;
    for (let row = 0; row < size; row++) out.set(values.subarray(row * seq, (row + 1) * seq), row * wide);
    return out;
  };
  return { ...host, seq: wide, inputIds: widen(host.inputIds, padId), attentionMask: widen(host.attentionMask, 0), tokenTypeIds: host.tokenTypeIds && widen(host.tokenTypeIds, 0) };
}

/** One row of a batch without its padded positions, with the labels that it has there. */
export function rowAlone(host: HostBatch, row: number): HostBatch {
  const { seq, labelSeq = 1, attentionMask, labels, scores } = host;
  const own = <T extends Int32Array | Float32Array>(values: T, width: number): T => values.slice(row * width, (row + 1) * width) as T;
  const real = <T extends Int32Array | Float32Array>(values: T): T => own(values, seq).filter((_, i) => attentionMask[row * seq + i] === 1) as T;
  const inputIds = real(host.inputIds);
  return {
    ...host, size: 1, seq: inputIds.length, inputIds, attentionMask: real(attentionMask), tokenTypeIds: host.tokenTypeIds && real(host.tokenTypeIds),
    labels: labels && own(labels, labelSeq), scores: scores && own(scores, 1),
  };
}

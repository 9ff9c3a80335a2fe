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

import type { Split } from "@deft-js/core";

/** Options of a pass over a split. */
export type PassOptions = Parameters<Split["batches"]>[0];

/** How many batches a bucketing window holds. */
const WINDOW = 50;

/** What the order of a pass is made from. */
export interface OrderOptions {
  readonly lengths: ArrayLike<number>;
  readonly batchSize: number;
  readonly order: PassOptions["order"];
  readonly bucket: boolean;
}

/**
 * The examples of every batch of a pass, by index. Without an RNG in file order, with one in the order of its permutation. With bucketing, windows of 50
 * batches are sorted by length, so that batches hold texts of like length; the RNG then shuffles the batches of a window.
 * @returns one array of indices a batch; the last one may be shorter
 */
export function batchIndices({ lengths, batchSize, order, bucket }: OrderOptions): Int32Array[] {
  const size = lengths.length;
  const indices = order === undefined ? Int32Array.from({ length: size }, (_, i) => i) : order.permutation(size);
  const windowSize = bucket ? WINDOW * batchSize : Math.max(size, 1);
  const batches: Int32Array[] = [];
  for (let start = 0; start < size; start += windowSize) {
    const window = indices.subarray(start, start + windowSize);
    if (bucket) window.sort((a, b) => (lengths[a] as number) - (lengths[b] as number) || a - b);
    const cut = cutInto(window, batchSize);
    const places = bucket && order !== undefined ? order.permutation(cut.length) : cut.keys();
    for (const place of places) batches.push(cut[place] as Int32Array);
  }
  return batches;
}

function cutInto(indices: Int32Array, batchSize: number): Int32Array[] {
  return Array.from({ length: Math.ceil(indices.length / batchSize) }, (_, i) => indices.subarray(i * batchSize, (i + 1) * batchSize));
}

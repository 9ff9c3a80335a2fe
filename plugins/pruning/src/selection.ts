import { DeftError } from "@deft-js/core";

/** Scores of one matrix in file layout, [dOut, dIn] row by row: a row is what one output is made of. */
export interface Scores {
  readonly values: Float32Array;
  readonly dOut: number;
  readonly dIn: number;
}

/** Which weights of a matrix are removed: 1 = removed, [dOut, dIn]. */
export type Removed = Uint8Array;

/** In each row the ⌊share·dIn⌋ smallest scores; of equal ones the first (WANDA's comparison group, arXiv:2306.11695, section 3). */
export function smallestOfRows({ values, dOut, dIn }: Scores, share: number): Removed {
  const removed = new Uint8Array(dOut * dIn);
  const count = Math.trunc(dIn * share);
  for (let row = 0; row < dOut; row++) for (const column of inOrder(values, row * dIn, dIn).subarray(0, count)) removed[row * dIn + column] = 1;
  return removed;
}

/** In each row, of every `of` neighbours the `of − keep` smallest scores: n:m sparsity, where n = keep. The last group of a row may be shorter and keeps its `keep` largest. */
export function smallestOfGroups({ values, dOut, dIn }: Scores, { keep, of }: { readonly keep: number; readonly of: number }): Removed {
  const removed = new Uint8Array(dOut * dIn);
  for (let row = 0; row < dOut; row++)
    for (let from = 0; from < dIn; from += of) {
      const length = Math.min(of, dIn - from);
      const start = row * dIn + from;
      for (const column of inOrder(values, start, length).subarray(0, Math.max(0, length - keep))) removed[start + column] = 1;
    }
  return removed;
}

/** Every score up to the ⌊share·n⌋-th smallest of the whole matrix, that one included: with distinct scores one more than the share, as WANDA's authors' magnitude baseline does. */
export function smallestOfMatrix({ values }: Scores, share: number): Removed {
  if (share === 0) return new Uint8Array(values.length);
  const threshold = Float32Array.from(values).sort()[Math.min(values.length - 1, Math.trunc(values.length * share))] as number;
  return Uint8Array.from(values, (score) => (score <= threshold ? 1 : 0));
}

/**
 * In each row the smallest scores that together make up α of the row's sum, with the α, found by halving, at which the whole matrix comes nearest to the share: rows
 * may differ in how much they lose (the `use_variant` of WANDA's authors' code; α starts at 0.4 within [0, 0.8], and the search ends within 0.001).
 */
export function smallestByRowSums(scores: Scores, share: number): Removed {
  let [low, high, alpha] = [0, 0.8, 0.4];
  let removed = upToRowSums(scores, alpha);
  for (let sparsity = shareOf(removed); Math.abs(sparsity - share) > 0.001 && high - low >= 0.001; sparsity = shareOf(removed)) {
    if (sparsity > share) [alpha, high] = [(alpha + low) / 2, alpha];
    else [alpha, low] = [(alpha + high) / 2, alpha];
    removed = upToRowSums(scores, alpha);
  }
  return removed;
}

/** In each row every score up to the last of the sorted ones whose running sum stays within α of the row's sum. */
function upToRowSums({ values, dOut, dIn }: Scores, alpha: number): Removed {
  const removed = new Uint8Array(dOut * dIn);
  for (let row = 0; row < dOut; row++) {
    const scores = values.subarray(row * dIn, (row + 1) * dIn);
    const sorted = Float32Array.from(scores).sort();
    const limit = Math.fround(Math.fround(scores.reduce((sum, score) => sum + score, 0)) * alpha);
    let [within, running] = [0, 0];
    for (const score of sorted) {
      running += score;
      if (Math.fround(running) <= limit) within++;
    }
    const threshold = sorted[within === 0 ? dIn - 1 : within - 1] as number; // as the reference: index −1 is the last
    for (let column = 0; column < dIn; column++) removed[row * dIn + column] = (scores[column] as number) <= threshold ? 1 : 0;
  }
  return removed;
}

/** The share of removed weights. */
export function shareOf(removed: Removed): number {
  return removed.length === 0 ? 0 : removed.reduce((sum, flag) => sum + flag, 0) / removed.length;
}

/** Column numbers of a stretch of scores, smallest first, equal ones in order. */
function inOrder(values: Float32Array, start: number, length: number): Uint32Array {
  const at = (column: number): number => values[start + column] as number;
  return Uint32Array.from({ length }, (_, column) => column).sort((a, b) => at(a) - at(b) || a - b);
}

/** `2:4` as numbers. Throws `options.invalid` unless 0 < n < m ≤ 64. */
export function parsePattern(pattern: string): { readonly keep: number; readonly of: number } {
  const [keep = 0, of = 0] = /^\d+:\d+$/.test(pattern) ? pattern.split(":").map(Number) : [];
  if (!(Number.isInteger(keep) && Number.isInteger(of) && keep > 0 && keep < of && of <= 64))
    throw new DeftError("options.invalid", `prune: a pattern must be n:m with 0 < n < m ≤ 64, got ${pattern}. Use e.g. 2:4.`);
  return { keep, of };
}

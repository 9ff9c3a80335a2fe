import { demand } from "./check.ts";

/** What to compare, and how exactly. */
export interface Comparison {
  readonly name: string;
  readonly actual: ArrayLike<number>;
  readonly expected: ArrayLike<number>;
  /** The allowed error as a share of the reference. */
  readonly tolerance: number;
  /** The reference: the greatest |expected| of the tensor, or each entry's own |expected|. */
  readonly relativeTo: "max" | "entry";
  /** Replaces the greatest |expected| when `relativeTo` is `max`, e.g. by the greatest of several tensors. */
  readonly reference?: number | undefined;
  /** Added to the allowed error. */
  readonly absolute?: number | undefined;
}

/** The outcome: plain data for a report. */
export interface ComparisonResult {
  readonly name: string;
  readonly size: number;
  /** max |actual − expected|; NaN when the sizes differ or a value is not a number. */
  readonly maxError: number;
  /** max of error/allowed over the entries: at most 1 when all is well. */
  readonly ratio: number;
  /** The flat index of the entry with that ratio. */
  readonly worst: number;
  readonly ok: boolean;
}

/** The greatest |x|; 0 for an empty array. */
export function maxAbs(values: ArrayLike<number>): number {
  let most = 0;
  for (const value of Array.from(values)) most = Math.max(most, Math.abs(value));
  return most;
}

/** Compares entry by entry: |actual − expected| ≤ tolerance·reference + absolute. Equal values pass at any tolerance; NaN never does. */
export function compareTensors(comparison: Comparison): ComparisonResult {
  const { name, actual, expected, tolerance, relativeTo, absolute = 0 } = comparison;
  const size = expected.length;
  if (actual.length !== size) return { name, size, maxError: NaN, ratio: Infinity, worst: -1, ok: false };
  const reference = comparison.reference ?? maxAbs(expected);
  let maxError = 0;
  let ratio = 0;
  let worst = -1;
  for (let i = 0; i < size; i++) {
    const error = Math.abs((actual[i] as number) - (expected[i] as number));
    const allowed = tolerance * (relativeTo === "max" ? reference : Math.abs(expected[i] as number)) + absolute;
    const share = error === 0 ? 0 : Number.isNaN(error) ? Infinity : error / allowed;
    if (share > ratio) [ratio, worst] = [share, i];
    maxError = Math.max(maxError, error);
  }
  return { name, size, maxError, ratio, worst, ok: ratio <= 1 };
}

/** Throws a ConformanceError that names the worst entry unless the tensors agree. */
export function demandClose(comparison: Comparison): ComparisonResult {
  const result = compareTensors(comparison);
  const { worst } = result;
  const values = worst < 0 ? `sizes ${comparison.actual.length} and ${result.size}` : `[${worst}] ${comparison.actual[worst]} for ${comparison.expected[worst]}`;
  demand(result.ok, `${comparison.name}: must agree within ${comparison.tolerance} relative to ${comparison.relativeTo}, got ${result.ratio.toPrecision(3)} times that at ${values}`);
  return result;
}

/** Whether two arrays hold the same numbers in the same bits, but for the sign of zero; NaN equals NaN. */
export function sameBits(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] as number, b[i] as number];
    if (x !== y && !(Number.isNaN(x) && Number.isNaN(y))) return false;
  }
  return true;
}

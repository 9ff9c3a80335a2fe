/** One quantity of a fixture, beside the peer's. */
export interface Line {
  readonly quantity: string;
  /** The largest error, in the unit of the tolerance. */
  readonly error: number;
  readonly tolerance: number;
  /** What was compared with what, where that is not plain. */
  readonly note?: string | undefined;
}

/** A NaN never holds. */
export const holds = (line: Line): boolean => line.error <= line.tolerance;

/** max |actual − expected|; NaN when the lengths differ or one alone is NaN. */
export function largestError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.NaN;
  let error = 0;
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i] as number, expected[i] as number];
    if (Object.is(a, e) || (Number.isNaN(a) && Number.isNaN(e))) continue;
    const difference = Math.abs(a - e);
    if (!(difference <= error)) error = difference;
  }
  return error;
}

/** max |x|. */
export function largest(x: ArrayLike<number>): number {
  return Array.from(x).reduce((top, value) => Math.max(top, Math.abs(value)), 0);
}

/** max |actual − expected| against `share`·max |expected|. */
export function relativeToLargest(quantity: string, actual: ArrayLike<number>, expected: ArrayLike<number>, share: number): Line {
  return { quantity, error: largestError(actual, expected), tolerance: share * largest(expected) };
}

/** Every entry within `relative`·|expected| + `absolute`: the error is given in units of that bound. */
export function entryByEntry(quantity: string, actual: ArrayLike<number>, expected: ArrayLike<number>, relative: number, absolute: number): Line {
  let error = actual.length === expected.length ? 0 : Number.NaN;
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i] as number, expected[i] as number];
    if (Object.is(a, e)) continue;
    const share = Math.abs(a - e) / (relative * Math.abs(e) + absolute);
    if (!(share <= error)) error = share;
  }
  return { quantity, error, tolerance: 1, note: `in units of ${relative}·|x| + ${absolute}` };
}

/** One line of the report. */
export function render(line: Line): string {
  const note = line.note === undefined ? "" : `  (${line.note})`;
  return `  ${holds(line) ? "holds" : "FAILS"}  ${line.quantity.padEnd(44)} error ${line.error.toExponential(2).padStart(9)}  tolerance ${line.tolerance.toExponential(2).padStart(9)}${note}`;
}

import { scope } from "./scope.ts";
import type { Tensor } from "./tfjs.ts";

/** A product with one of the matrices; its result is dropped. */
export type TimedCall = (weight: Tensor) => Tensor;

/** How long calls are timed: so many passes through all matrices at least, then until the milliseconds are over or the most passes are made. */
export interface TimedPasses {
  readonly passes: number;
  readonly milliseconds: number;
  readonly mostPasses?: number | undefined;
}

/**
 * Milliseconds of each call: the least that it took on each matrix, averaged over the matrices. The calls take turns, so that a slow moment hits all of them; no matrix is used
 * twice in a row when there are several, so that each comes from memory, as in a model. One pass before the first is not counted. For back-ends that compute at once.
 */
export function timeInTurns(weights: readonly Tensor[], calls: readonly TimedCall[], { passes, milliseconds, mostPasses = Infinity }: TimedPasses): number[] {
  const least = calls.map(() => weights.map(() => Infinity));
  let began = 0;
  for (let pass = -1; pass < mostPasses && (pass < passes || performance.now() - began < milliseconds); pass++) {
    if (pass === 0) began = performance.now();
    for (const [i, call] of calls.entries())
      for (const [j, weight] of weights.entries()) {
        const started = performance.now();
        scope(() => void call(weight)); // a result that left the scope would live on, and every call would take fresh memory
        const row = least[i] as number[];
        if (pass >= 0) row[j] = Math.min(row[j] as number, performance.now() - started);
      }
  }
  return least.map((row) => row.reduce((sum, ms) => sum + ms, 0) / row.length);
}

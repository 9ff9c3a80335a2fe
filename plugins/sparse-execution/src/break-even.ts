import { ops } from "@deft-js/core";
import type { BreakEvenPoint } from "./options.ts";

/** Tokens in a product at which the break-even point is measured. */
const ROWS = [512, 128, 32, 8, 1] as const;
/** Densities that the search for a break-even point starts from, and the largest that it tries. */
const [LOW, HIGH, MOST] = [0.02, 0.3, 0.95] as const;
/** Skipping must win by this factor, so that an error of the measurement does not make it lose. */
const MARGIN = 0.9;
/** The search ends at a density where skipping takes at least so much of what it may take, or after so many steps; it aims in between, and lower after each density that lost. */
const [CLOSE, AIM, LOWER, STEPS] = [0.93, 0.97, 0.1, 4] as const;
/** Tokens from which on a product is bound by arithmetic, so that one matrix stands for all; below, matrices of so many bytes are gone through in turn, at least two. */
const [BOUND_BY_ARITHMETIC, ROTATED_BYTES] = [64, 128 << 20] as const;
/** Of one density. */
const MEASUREMENT = { passes: 3, milliseconds: 25, mostPasses: 200 } as const;

/** How large a share of active neurons may be for skipping to pay, for any number of tokens. */
export type BreakEven = (rows: number) => number;

/** Between measured points linear in log₂(rows); as at the ends beyond them. */
export function breakEvenOf(points: readonly BreakEvenPoint[]): BreakEven {
  const sorted = [...points].sort((a, b) => a.rows - b.rows);
  return (rows) => {
    const above = sorted.findIndex((point) => point.rows >= rows);
    const [low, high] = [sorted[Math.max(0, above === -1 ? sorted.length - 1 : above - 1)], sorted[above === -1 ? sorted.length - 1 : above]];
    if (low === undefined || high === undefined) return 0;
    if (low.rows >= high.rows || rows <= low.rows) return rows < low.rows ? low.density : high.density;
    const at = Math.log2(rows / low.rows) / Math.log2(high.rows / low.rows);
    return low.density + at * (high.density - low.density);
  };
}

/** A product that may leave neurons out, for measuring: with a share of active neurons, and densely. */
export interface SkippingProduct {
  /** Its inputs for so many tokens and a share of active neurons. */
  inputs(rng: ops.Rng, size: { readonly rows: number; readonly weight: ops.Tensor }, density: number): readonly [ops.Tensor, ops.Tensor?];
  dense(inputs: readonly [ops.Tensor, ops.Tensor?], weight: ops.Tensor): ops.Tensor;
  skipping(inputs: readonly [ops.Tensor, ops.Tensor?], weight: ops.Tensor, onDecision?: (decision: ops.SparseDecision) => void): ops.Tensor;
}

/** The down-projection's: W [dFf, dModel], rows at zeros of the input are left out. */
export const SKIPPING_INPUTS: SkippingProduct = {
  inputs: (rng, { rows, weight }, density) => [someActive(rng, rows * (weight.shape[0] ?? 0), density, [rows, weight.shape[0] ?? 0])],
  dense: ([x], weight) => ops.linear(x, weight, { frozen: true }),
  skipping: ([x], weight, onDecision) => ops.sparseLinear(x, weight, { frozen: true, breakEven: 1, onDecision }),
};

/** The up-projection's: W held by rows, [dFf, dModel], outputs that are not selected are left out. */
export const SKIPPING_OUTPUTS: SkippingProduct = {
  inputs: (rng, { rows, weight: { shape: [dFf = 0, d = 0] } }, density) => [someActive(rng, rows * d, 1, [rows, d]), someActive(rng, rows * dFf, density, [rows, dFf])],
  dense: ([x], weight) => ops.linear(x, weight, { transposed: true, frozen: true }),
  skipping: ([x, select = x], weight, onDecision) => ops.selectedLinear(x, weight, { select, frozen: true, breakEven: 1, onDecision }),
};

/**
 * Measures the break-even points of a shape: looks for the largest density at which the skipping product takes at most 0.9 of the dense one's time, by false position; only a density
 * at which that was measured is taken. The matrices are gone through in turn, so that none is warm in the cache when there are several. 0 throughout where the back-end does not skip.
 * @param weights frozen matrices of one shape, as the product takes them
 */
export function measureBreakEven(weights: readonly ops.Tensor[], product: SkippingProduct = SKIPPING_INPUTS): readonly BreakEvenPoint[] {
  const [first] = weights;
  if (first === undefined || !skips(first, product)) return [{ rows: 1, density: 0 }];
  const rotated = weights.slice(0, Math.max(2, Math.ceil(ROTATED_BYTES / (4 * first.size))));
  // the most tokens first: when the shortest calls are timed, the engine has compiled what they run
  return ROWS.map((rows) => ({ rows, density: breakEvenAt(rows, rows < BOUND_BY_ARITHMETIC ? rotated : [first], product) })).reverse();
}

function breakEvenAt(rows: number, weights: readonly ops.Tensor[], product: SkippingProduct): number {
  const rng = new ops.Rng(rows);
  return largestWinning((density) =>
    ops.scope(() => {
      const inputs = product.inputs(rng, { rows, weight: weights[0] as ops.Tensor }, density);
      const [dense = 0, skipping = 0] = ops.timeInTurns(weights, [(weight) => product.dense(inputs, weight), (weight) => product.skipping(inputs, weight, () => undefined)], MEASUREMENT);
      return skipping / (MARGIN * dense);
    }),
  );
}

/**
 * The largest density found, to 0.001, at which skipping wins; 0 when it loses at 0.02 already.
 * @param shareAt the skipping product's time at a density as a share of what it may take, which grows with the density: above 1 it loses
 */
export function largestWinning(shareAt: (density: number) => number): number {
  const tried = (density: number): { readonly density: number; readonly share: number } => ({ density, share: shareAt(density) });
  let wins = tried(LOW);
  if (wins.share > 1) return 0;
  let other = tried(HIGH);
  if (other.share <= 1) [wins, other] = [other, wins];
  let aim: number = AIM;
  for (let step = 0; step < STEPS && wins.share < CLOSE && wins.share < aim && wins.density < MOST; step++) {
    const slope = Math.max((other.share - wins.share) / (other.density - wins.density), 1e-9);
    const found = tried(Math.min(MOST, wins.density + (aim - wins.share) / slope));
    if (found.share > 1) [other, aim] = [found, aim - LOWER];
    else [wins, other] = [found, other.share > 1 ? other : wins];
  }
  return Math.floor(1000 * wins.density) / 1000;
}

/** Whether the back-end leaves anything out at all. */
export function skips(weight: ops.Tensor, product: SkippingProduct): boolean {
  let skipped = false;
  ops.scope(() => void product.skipping(product.inputs(new ops.Rng(0), { rows: 1, weight }, 0), weight, (decision) => (skipped = decision.skipped)));
  return skipped;
}

/** Zeros, but for a share of values between 0.1 and 1.1. */
function someActive(rng: ops.Rng, n: number, density: number, shape: readonly number[]): ops.Tensor {
  return ops.tensor(Float32Array.from({ length: n }, () => (rng.uniform() < density ? rng.uniform() + 0.1 : 0)), shape);
}

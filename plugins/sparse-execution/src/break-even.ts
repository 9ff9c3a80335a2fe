import { ops } from "@deft-js/core";
import type { BreakEvenPoint } from "./options.ts";

/** Tokens in a product at which the break-even point is measured. */
const ROWS = [1, 8, 64, 512] as const;
/** Densities between which the time of a skipping product is taken for linear. */
const [LOW, HIGH] = [0.02, 0.3] as const;
/** Skipping must win by this factor, so that an error of the measurement does not make it lose. */
const MARGIN = 0.95;
/** Milliseconds that one measurement may take, repetitions included; one repetition takes what it takes. */
const BUDGET = 12;

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

/**
 * Measures the break-even points of a shape: times the dense product and the skipping one at two densities, on the matrices in turn (so that none is warm in the
 * cache when there are several), and takes the density at which both are equal. 0 throughout where the back-end does not skip.
 * @param weights frozen matrices [dIn, dOut] of one shape
 */
export function measureBreakEven(weights: readonly ops.Tensor[]): readonly BreakEvenPoint[] {
  const [first] = weights;
  if (first === undefined || !skips(first)) return [{ rows: 1, density: 0 }];
  return ROWS.map((rows) => ({ rows, density: breakEvenAt(rows, weights) }));
}

function breakEvenAt(rows: number, weights: readonly ops.Tensor[]): number {
  const dIn = weights[0]?.shape[0] ?? 0;
  return ops.scope(() => {
    const rng = new ops.Rng(rows);
    const [few, many] = [activations(rng, rows, dIn, LOW), activations(rng, rows, dIn, HIGH)];
    const dense = shortest(weights, (weight) => ops.linear(many, weight, { frozen: true }));
    const low = shortest(weights, (weight) => ops.sparseLinear(few, weight, { frozen: true, breakEven: 1 }));
    const high = shortest(weights, (weight) => ops.sparseLinear(many, weight, { frozen: true, breakEven: 1 }));
    const slope = Math.max((high - low) / (HIGH - LOW), 1e-9);
    const density = LOW + (MARGIN * dense - low) / slope;
    return Math.round(1000 * Math.min(0.95, Math.max(0, density))) / 1000;
  });
}

/** Whether the back-end leaves rows out at all. */
function skips(weight: ops.Tensor): boolean {
  let skipped = false;
  ops.scope(() => ops.sparseLinear(ops.zeros([1, weight.shape[0] ?? 0]), weight, { frozen: true, breakEven: 1, onDecision: (decision) => (skipped = decision.skipped) }));
  return skipped;
}

function activations(rng: ops.Rng, rows: number, n: number, density: number): ops.Tensor {
  return ops.tensor(Float32Array.from({ length: rows * n }, () => (rng.uniform() < density ? rng.uniform() + 0.1 : 0)), [rows, n]);
}

/** The least milliseconds of a call, over the matrices in turn. */
function shortest(weights: readonly ops.Tensor[], product: (weight: ops.Tensor) => ops.Tensor): number {
  const began = performance.now();
  let least = Infinity;
  for (let i = 0; i < 3 || (performance.now() - began < BUDGET && i < 200); i++) {
    const weight = weights[i % weights.length] as ops.Tensor;
    const started = performance.now();
    ops.scope(() => product(weight).dataSync());
    if (i > 0) least = Math.min(least, performance.now() - started);
  }
  return least;
}

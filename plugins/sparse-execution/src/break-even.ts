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
 * Measures the break-even points of a shape: times the dense product and the skipping one at two densities, on the matrices in turn (so that none is warm in the
 * cache when there are several), and takes the density at which both are equal. 0 throughout where the back-end does not skip.
 * @param weights frozen matrices of one shape, as the product takes them
 */
export function measureBreakEven(weights: readonly ops.Tensor[], product: SkippingProduct = SKIPPING_INPUTS): readonly BreakEvenPoint[] {
  const [first] = weights;
  if (first === undefined || !skips(first, product)) return [{ rows: 1, density: 0 }];
  return ROWS.map((rows) => ({ rows, density: breakEvenAt(rows, weights, product) }));
}

function breakEvenAt(rows: number, weights: readonly ops.Tensor[], product: SkippingProduct): number {
  const weight = weights[0] as ops.Tensor;
  return ops.scope(() => {
    const rng = new ops.Rng(rows);
    const [few, many] = [product.inputs(rng, { rows, weight }, LOW), product.inputs(rng, { rows, weight }, HIGH)];
    const dense = shortest(weights, (weight) => product.dense(many, weight));
    const low = shortest(weights, (weight) => product.skipping(few, weight));
    const high = shortest(weights, (weight) => product.skipping(many, weight));
    const slope = Math.max((high - low) / (HIGH - LOW), 1e-9);
    const density = LOW + (MARGIN * dense - low) / slope;
    return Math.round(1000 * Math.min(0.95, Math.max(0, density))) / 1000;
  });
}

/** Whether the back-end leaves anything out at all. */
export function skips(weight: ops.Tensor, product: SkippingProduct): boolean {
  let skipped = false;
  ops.scope(() => product.skipping(product.inputs(new ops.Rng(0), { rows: 1, weight }, 0), weight, (decision) => (skipped = decision.skipped)));
  return skipped;
}

/** Zeros, but for a share of values between 0.1 and 1.1. */
function someActive(rng: ops.Rng, n: number, density: number, shape: readonly number[]): ops.Tensor {
  return ops.tensor(Float32Array.from({ length: n }, () => (rng.uniform() < density ? rng.uniform() + 0.1 : 0)), shape);
}

/** The least milliseconds of a call, over the matrices in turn. */
function shortest(weights: readonly ops.Tensor[], product: (weight: ops.Tensor) => ops.Tensor): number {
  const began = performance.now();
  let least = Infinity;
  for (let i = 0; i < 6 || (performance.now() - began < BUDGET && i < 200); i++) {
    const weight = weights[i % weights.length] as ops.Tensor;
    const started = performance.now();
    ops.scope(() => product(weight).dataSync());
    if (i > 0) least = Math.min(least, performance.now() - started);
  }
  return least;
}

import type { SparseDecision } from "@deft-js/tensor";

/** Where the addon writes what a product decided: the density, and 1 when something was left out. */
export const decision = new Float32Array(2);

/** What it wrote last. */
export function decided(): SparseDecision {
  const [density = 0, skipped = 0] = decision;
  return { density, skipped: skipped > 0 };
}

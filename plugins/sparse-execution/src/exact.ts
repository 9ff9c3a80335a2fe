import type { Execution } from "@deft-js/core";
import { checked, sparseSchema, type SparseOptions } from "./options.ts";
import { installSkipping } from "./skipping.ts";

/**
 * Exact sparse execution: y = Σ_{i: h_i ≠ 0} h_i·W₂[i] + b at every MLP's down-projection where few enough neurons are active, the dense product elsewhere;
 * which of them is settled at each call, by the counted density and break-even points measured once.
 */
export function sparseExecution(options: SparseOptions = {}): Execution {
  const chosen = checked("sparse", sparseSchema, options);
  return { id: "sparse", options: chosen, exact: true, install: (model) => Promise.resolve(installSkipping(model, chosen, { of: () => ({}) })) };
}

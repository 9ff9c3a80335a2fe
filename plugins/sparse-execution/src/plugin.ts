import { definePlugin, EXECUTION, type Plugin } from "@deft-js/core";
import { sparseExecution } from "./exact.ts";
import { thresholdExecution, topKExecution } from "./magnitude.ts";
import { sparseSchema, thresholdSchema, topKSchema, type SparseOptions, type ThresholdOptions, type TopKOptions } from "./options.ts";

/** Registers the executions `sparse`, `threshold` and `top-k`. */
export const sparseExecutionPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-sparse-execution",
  version: "0.1.0",
  core: "^0.1",
  provides: ["execution:sparse", "execution:threshold", "execution:top-k"],
  register(registry) {
    registry.add(EXECUTION, { id: "sparse", summary: "Skips inactive neurons in the MLPs' down-projections; outputs stay the same", options: sparseSchema, create: (options: SparseOptions) => sparseExecution(options) });
    registry.add(EXECUTION, { id: "threshold", summary: "Skips neurons of small magnitude too, by thresholds calibrated to a density (TEAL); approximate", options: thresholdSchema, create: (options: ThresholdOptions) => thresholdExecution(options) });
    registry.add(EXECUTION, { id: "top-k", summary: "Keeps each token's largest neurons alone; approximate", options: topKSchema, create: (options: TopKOptions) => topKExecution(options) });
  },
});

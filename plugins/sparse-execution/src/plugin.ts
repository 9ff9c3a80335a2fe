import { definePlugin, EXECUTION, type Plugin } from "@deft-js/core";
import { sparseExecution } from "./exact.ts";
import { gateThresholdExecution, thresholdExecution, topKExecution } from "./magnitude.ts";
import { gateThresholdSchema, predictorSchema, sparseSchema, thresholdSchema, topKSchema, type GateThresholdOptions, type PredictorOptions, type SparseOptions, type ThresholdOptions, type TopKOptions } from "./options.ts";
import { predictorExecution } from "./predicting.ts";

/** Registers the executions `sparse`, `threshold`, `top-k`, `gate-threshold` and `predictor`. */
export const sparseExecutionPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-sparse-execution",
  version: "0.1.0",
  core: "^0.1",
  provides: ["execution:sparse", "execution:threshold", "execution:top-k", "execution:gate-threshold", "execution:predictor"],
  register(registry) {
    registry.add(EXECUTION, { id: "sparse", summary: "Skips inactive neurons in the MLPs' down-projections, and in gated MLPs' linear branches; outputs stay the same", options: sparseSchema, create: (options: SparseOptions) => sparseExecution(options) });
    registry.add(EXECUTION, { id: "threshold", summary: "Skips neurons of small magnitude too, by thresholds calibrated to a density (TEAL); approximate", options: thresholdSchema, create: (options: ThresholdOptions) => thresholdExecution(options) });
    registry.add(EXECUTION, { id: "top-k", summary: "Keeps each token's largest neurons alone; approximate", options: topKSchema, create: (options: TopKOptions) => topKExecution(options) });
    registry.add(EXECUTION, { id: "gate-threshold", summary: "Skips neurons of gated MLPs whose gate is small, by thresholds calibrated to a density (CATS); approximate", options: gateThresholdSchema, create: (options: GateThresholdOptions) => gateThresholdExecution(options) });
    registry.add(EXECUTION, { id: "predictor", summary: "Computes the neurons alone that a small predictor, trained on calibration data, takes for active (Deja Vu); approximate", options: predictorSchema, create: (options: PredictorOptions) => predictorExecution(options) });
  },
});

export { breakEvenOf, measureBreakEven, SKIPPING_INPUTS, SKIPPING_OUTPUTS, type BreakEven, type SkippingProduct } from "./break-even.ts";
export { sparseExecution } from "./exact.ts";
export { gateThresholdExecution, thresholdExecution, topKExecution } from "./magnitude.ts";
export type { BreakEvenPoint, GateThresholdOptions, PredictorOptions, SparseOptions, ThresholdOptions, TopKOptions } from "./options.ts";
export { predictorExecution } from "./predicting.ts";
export { RowWeight } from "./row-weight.ts";
export { sparseExecutionPlugin, sparseExecutionPlugin as default } from "./plugin.ts";

export { breakEvenOf, measureBreakEven, type BreakEven } from "./break-even.ts";
export { sparseExecution } from "./exact.ts";
export { thresholdExecution, topKExecution } from "./magnitude.ts";
export type { BreakEvenPoint, SparseOptions, ThresholdOptions, TopKOptions } from "./options.ts";
export { sparseExecutionPlugin, sparseExecutionPlugin as default } from "./plugin.ts";

export { runCommandLine, type CommandLine } from "./command-line.ts";
export { EXIT_CODE_MEANINGS, EXIT_CODES, exitCodeOf } from "./exit-codes.ts";
export { progressReporter } from "./progress/progress-reporter.ts";
export type { BackendReport, BenchRequest, DensityRequest, PredictRequest, ReportRequest, RunApi, RunRequest } from "./run-api.ts";
export { benchTable, type BenchReport } from "./tables/bench-table.ts";
export { comparisonTable, stageEvaluations, type StageEvaluation } from "./tables/comparison-table.ts";
export { densityTable, type DensityReport, type DensityShares } from "./tables/density-table.ts";
export { processTerminal, Terminal, type OutputStream } from "./terminal.ts";

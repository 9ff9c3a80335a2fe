import type { EvaluationCompleted } from "@deft-js/core";
import { densityTable, isDensityReport } from "../tables/density-table.ts";
import { short } from "../tables/numbers.ts";

/** What an evaluation found: a line with the metrics, and the density by layer where it was measured. */
export function evaluationLines({ step, split, examples, metrics, reports }: EvaluationCompleted): string[] {
  const values = Object.entries(metrics).map(([name, value]) => `${name} ${short(value)}`);
  const density = reports["density"];
  return [[`evaluation on ${split}, step ${step}, ${examples} examples:`, ...values].join("  "), ...(isDensityReport(density) ? densityTable(density).map((line) => `  ${line}`) : [])];
}

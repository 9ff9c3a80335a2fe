import { isDensityReport, meanDensity } from "./density-table.ts";
import { percent, short } from "./numbers.ts";
import { textTable } from "./text-table.ts";

/** One evaluation of one stage. */
export interface StageEvaluation {
  readonly stage: string;
  readonly split: string;
  readonly metrics: Readonly<Record<string, number>>;
  /** Mean share of neurons that are not exactly 0, over layers. */
  readonly density?: { readonly exact: number; readonly exactIncludingPadding: number } | undefined;
}

type Json = Readonly<Record<string, unknown>>;

/** The evaluations in a run's metrics, which are `{ [stage]: { evaluations?: { [split]: { metrics, reports? } } } }`; what has another shape is left out. */
export function stageEvaluations(metrics: Json): StageEvaluation[] {
  return Object.entries(metrics).flatMap(([stage, value]) =>
    Object.entries(recordOf(recordOf(value)["evaluations"])).flatMap(([split, evaluation]) => evaluationOf({ stage, split, evaluation })),
  );
}

/**
 * Lines that put evaluations side by side: metrics, density with padding left out and counted in, and the change of the former
 * relative to the first row that has one. None when there are fewer than two.
 */
export function comparisonTable(evaluations: readonly StageEvaluation[]): string[] {
  if (evaluations.length < 2) return [];
  const names = [...new Set(evaluations.flatMap(({ metrics }) => Object.keys(metrics)))];
  const first = evaluations.find(({ density }) => density !== undefined)?.density?.exact;
  const withSplit = new Set(evaluations.map(({ split }) => split)).size > 1;
  const columns = ["stage", ...(withSplit ? ["split"] : []), ...names, ...(first === undefined ? [] : ["density %", "padding in %", "change %"])];
  const rows = evaluations.map(({ stage, split, metrics, density }) => [
    stage,
    ...(withSplit ? [split] : []),
    ...names.map((name) => (metrics[name] === undefined ? "–" : short(metrics[name]))),
    ...(first === undefined ? [] : [percent(density?.exact), percent(density?.exactIncludingPadding), density === undefined || first === 0 ? "–" : signed((density.exact - first) / first)]),
  ]);
  return textTable(columns.map((title, i) => ({ title, align: i < (withSplit ? 2 : 1) ? "left" : "right" })), rows);
}

function evaluationOf({ stage, split, evaluation }: { readonly stage: string; readonly split: string; readonly evaluation: unknown }): StageEvaluation[] {
  const { metrics, reports } = recordOf(evaluation);
  const numbers = Object.entries(recordOf(metrics)).filter((entry): entry is [string, number] => typeof entry[1] === "number");
  if (numbers.length === 0) return [];
  const { density } = recordOf(reports);
  return [{ stage, split, metrics: Object.fromEntries(numbers), density: isDensityReport(density) ? meanDensity(density) : undefined }];
}

function recordOf(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

function signed(fraction: number): string {
  return `${fraction > 0 ? "+" : ""}${percent(fraction)}`;
}

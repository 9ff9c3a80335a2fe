import { lineChart } from "../chart/lines.ts";
import { figure, section } from "../figure.ts";
import type { Markup } from "../markup.ts";
import { grouped, short, tickLabel } from "../numbers.ts";
import type { RunRecord, StageRecord } from "../record/record.ts";
import { binned, evaluationsOf, stageTitle, stepsOf, type Bin, type Evaluation } from "../record/timeline.ts";

/** Most points of a curve over steps. */
export const CURVE_POINTS = 200;

/** Losses by step: the task's and the objective in one figure, each further term in one of its own; then the metrics of evaluations in training. */
export function losses(run: RunRecord): Markup | undefined {
  return section("Training", ...run.stages.flatMap((stage, i) => ofStage(run, stage, stepsOf(run.stages.slice(0, i)))));
}

/** Says how points came to be, where they are means. */
export function meanNote(bins: readonly Bin[]): string | undefined {
  const size = Math.max(0, ...bins.map(({ from, to }) => to - from + 1));
  return size > 1 ? `Each point is the mean of ${size} steps.` : undefined;
}

/** The steps that a point stands for. */
export function binTitle({ from, to }: Bin): string {
  return from === to ? grouped(from) : `${grouped(from)}–${grouped(to)}`;
}

function ofStage(run: RunRecord, stage: StageRecord, offset: number): readonly Markup[] {
  const { steps } = stage;
  if (steps.length === 0) return [];
  const suffix = run.stages.filter((other) => other.steps.length > 0).length > 1 ? `, stage ${stageTitle(stage)}` : "";
  const curve = (value: Parameters<typeof binned>[1]): readonly Bin[] => binned(steps, value, { limit: CURVE_POINTS, offset });
  const names = [...new Set(steps.flatMap(({ terms }) => Object.keys(terms)))];
  const further = names.filter((name) => name !== "task");
  const [objective, task] = [curve(({ loss }) => loss), curve(({ terms }) => terms["task"])];
  const lines = further.length > 0 && task.length > 0 ? [{ name: "task loss", points: task }, { name: "objective Σ weight · term", points: objective }] : [{ name: "loss", points: objective }];
  return [
    figure({
      title: `${lines.length > 1 ? "Task loss and objective" : "Loss"} by step${suffix}`, note: meanNote(objective), legend: lines,
      chart: lineChart({ title: `Loss by step${suffix}`, lines, yLabel: "loss", yFormat: tickLabel, zero: true }),
      table: { columns: [{ title: "step" }, ...lines.map(({ name }) => ({ title: name, numeric: true }))], rows: objective.map((bin, i) => [binTitle(bin), ...lines.map(({ points }) => short(points[i]?.y))]) },
    }),
    ...further.map((name) => termFigure(name, { term: curve(({ terms }) => terms[name]), weight: curve(({ weights }) => weights[name]), suffix })),
    ...metricFigures(evaluationsOf(run).filter((evaluation) => evaluation.stage === stage), suffix),
  ];
}

function termFigure(name: string, { term, weight, suffix }: { term: readonly Bin[]; weight: readonly Bin[]; suffix: string }): Markup {
  const title = `Loss term ${name} by step${suffix}`;
  return figure({
    title, note: ["Before its weight.", meanNote(term)].filter((part) => part !== undefined).join(" "),
    chart: lineChart({ title, lines: [{ name, points: term }], yLabel: name, yFormat: tickLabel, zero: true }),
    table: { columns: [{ title: "step" }, { title: name, numeric: true }, { title: "weight", numeric: true }], rows: term.map((bin, i) => [binTitle(bin), short(bin.y), tickLabel(weight[i]?.y ?? NaN)]) },
  });
}

/** One figure for each metric that was computed at two steps or more; a line for each split. */
function metricFigures(evaluations: readonly Evaluation[], suffix: string): readonly Markup[] {
  const splits = [...new Set(evaluations.map(({ split }) => split))];
  const steps = [...new Set(evaluations.map(({ at }) => at))];
  if (steps.length < 2) return [];
  return [...new Set(evaluations.flatMap(({ metrics }) => Object.keys(metrics)))].map((metric) => {
    const title = `Evaluation: ${metric} by step${suffix}`;
    const valueAt = (split: string, step: number): number | undefined => evaluations.find((evaluation) => evaluation.split === split && evaluation.at === step)?.metrics[metric];
    const lines = splits.map((split) => ({ name: split, points: steps.flatMap((x) => ({ x, y: valueAt(split, x) ?? NaN })) }));
    return figure({
      title, legend: lines,
      chart: lineChart({ title, lines, yLabel: metric, yFormat: tickLabel, zero: false }),
      table: { columns: [{ title: "step" }, ...splits.map((split) => ({ title: split, numeric: true }))], rows: steps.map((step) => [grouped(step), ...splits.map((split) => short(valueAt(split, step)))]) },
    });
  });
}

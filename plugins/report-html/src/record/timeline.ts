import type { StepCompleted } from "@deft-js/core";
import type { RunRecord, StageRecord } from "./record.ts";
import { densityOf, energyOf, planOf, readingsOf, recordOf, type Density, type Energy, type Plan, type Reading, type Stack } from "./reports.ts";

/** One evaluation in the course of a run. */
export interface Evaluation {
  readonly stage: StageRecord;
  /** Optimizer steps of the whole run before it. */
  readonly at: number;
  readonly split: string;
  readonly examples: number;
  readonly metrics: Readonly<Record<string, number>>;
  readonly reports: Readonly<Record<string, unknown>>;
}

/** A value at a step of the run. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** The mean over a few steps that follow each other; `size` of them. */
export interface Bin extends Point {
  readonly from: number;
  readonly to: number;
}

/** Every evaluation, in order; steps are counted over all trainings. */
export function evaluationsOf({ stages }: RunRecord): readonly Evaluation[] {
  return stages.flatMap((stage, i) => {
    const before = stepsOf(stages.slice(0, i));
    return stage.evaluations.map(({ step, split, examples, metrics, reports }) => ({ stage, at: before + step, split, examples, metrics, reports }));
  });
}

/** A stage's result by split: of a training, that of the state which was kept; otherwise the last. */
export function resultsOf(run: RunRecord, stage: StageRecord): readonly Evaluation[] {
  const all = evaluationsOf(run).filter((evaluation) => evaluation.stage === stage);
  const kept = keptAt(run, stage);
  return [...new Set(all.map(({ split }) => split))].flatMap((split) => {
    const ofSplit = all.filter((evaluation) => evaluation.split === split);
    return ofSplit.find(({ at }) => at === kept) ?? ofSplit.at(-1) ?? [];
  });
}

/** Of evaluations, the one that says what the run came to: where the last was in a training, that of the state which was kept, on its split; otherwise the last. */
export function finalOf<T extends Evaluation>(run: RunRecord, evaluations: readonly T[]): T | undefined {
  const last = evaluations.at(-1);
  const kept = last === undefined ? undefined : keptAt(run, last.stage);
  return evaluations.find(({ stage, split, at }) => stage === last?.stage && split === last.split && at === kept) ?? last;
}

/** What the run came to, by split: the results of the last stage that was evaluated. */
export function finalResults(run: RunRecord): readonly Evaluation[] {
  return run.stages.map((stage) => resultsOf(run, stage)).findLast((results) => results.length > 0) ?? [];
}

/** In words, when an evaluation was. */
export function whenOf(run: RunRecord, { stage, at }: Evaluation): string {
  if (stage.training !== undefined) return `step ${at}`;
  if (stepsOf(run.stages) === 0) return stage.id;
  return at === 0 ? "before training" : "after training";
}

/** A stage's name with the execution by which it ran, where that was not dense. */
export function stageTitle(stage: StageRecord): string {
  const execution = Object.values(recordOf(stage.metrics)).map((value) => recordOf(recordOf(value)["execution"])["id"]).find((id) => typeof id === "string");
  return `${stage.index + 1} ${stage.id}${execution === undefined ? "" : ` (${execution})`}`;
}

/** Evaluations with a density, of one split: that of the last. */
export function densitiesOf(run: RunRecord): readonly (Evaluation & { readonly density: Density })[] {
  return ofLastSplit(evaluationsOf(run).flatMap((evaluation) => withReport(evaluation, "density", densityOf(evaluation.reports))));
}

/** Evaluations with gates, of one split: that of the last. */
export function gatesOf(run: RunRecord): readonly (Evaluation & { readonly readings: readonly Reading[] })[] {
  return ofLastSplit(evaluationsOf(run).flatMap((evaluation) => withReport(evaluation, "readings", readingsOf(evaluation.reports))));
}

/** Evaluations with an energy report. */
export function energiesOf(run: RunRecord): readonly (Evaluation & { readonly energy: Energy })[] {
  return evaluationsOf(run).flatMap((evaluation) => withReport(evaluation, "energy", energyOf(evaluation.reports)));
}

/** The last plan of blocks to skip. */
export function lastPlan({ stages }: RunRecord): Plan | undefined {
  return stages.map(({ metrics }) => planOf(metrics)).findLast((plan) => plan !== undefined);
}

/** Each block's gate as it was learned, with what the plan says of it; undefined where there are no gates. */
export function finalGates(run: RunRecord): readonly Reading[] | undefined {
  return lastPlan(run)?.blocks ?? finalOf(run, gatesOf(run))?.readings;
}

/** The stacks that have any of these, encoder first. */
export function stacksOf(layers: readonly { readonly stack: Stack }[]): readonly Stack[] {
  return (["encoder", "decoder"] as const).filter((stack) => layers.some((layer) => layer.stack === stack));
}

/** The layers that a stack has, once each, in order. */
export function layersOf(layers: readonly { readonly stack: Stack; readonly layer: number }[], stack: Stack): readonly number[] {
  return [...new Set(layers.filter((one) => one.stack === stack).map(({ layer }) => layer))].sort((a, b) => a - b);
}

/** Means of a value over bins of equally many steps, `limit` of them at most; steps without the value are left out. */
export function binned(steps: readonly StepCompleted[], value: (step: StepCompleted) => number | undefined, { limit, offset = 0 }: { limit: number; offset?: number }): readonly Bin[] {
  const points = steps.flatMap((step) => {
    const y = value(step);
    return y === undefined || !Number.isFinite(y) ? [] : [{ x: offset + step.step, y }];
  });
  const size = Math.max(1, Math.ceil(points.length / limit));
  return Array.from({ length: Math.ceil(points.length / size) }, (_, i) => {
    const bin = points.slice(i * size, (i + 1) * size);
    const mean = (of: (point: Point) => number): number => bin.reduce((sum, point) => sum + of(point), 0) / bin.length;
    return { x: mean(({ x }) => x), y: mean(({ y }) => y), from: bin[0]?.x ?? 0, to: bin.at(-1)?.x ?? 0 };
  });
}

/** Optimizer steps of stages, together. */
export function stepsOf(stages: readonly StageRecord[]): number {
  return stages.reduce((sum, { steps, evaluations }) => sum + Math.max(steps.at(-1)?.step ?? 0, evaluations.at(-1)?.step ?? 0), 0);
}

/** After how many steps of the whole run the state was that a training kept; undefined where it says none. */
function keptAt({ stages }: RunRecord, stage: StageRecord): number | undefined {
  const kept = Object.values(recordOf(stage.metrics)).map((value) => recordOf(value)["keptStep"]).find((step) => typeof step === "number");
  return kept === undefined ? undefined : stepsOf(stages.slice(0, stages.indexOf(stage))) + kept;
}

function withReport<K extends string, R>(evaluation: Evaluation, key: K, report: R | undefined): (Evaluation & Record<K, R>)[] {
  return report === undefined ? [] : [{ ...evaluation, [key]: report } as Evaluation & Record<K, R>];
}

function ofLastSplit<T extends Evaluation>(evaluations: readonly T[]): readonly T[] {
  const split = evaluations.at(-1)?.split;
  return evaluations.filter((evaluation) => evaluation.split === split);
}

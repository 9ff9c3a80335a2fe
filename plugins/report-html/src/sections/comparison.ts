import { barChart } from "../chart/bars.ts";
import { lineChart } from "../chart/lines.ts";
import { figure, scrolling, section } from "../figure.ts";
import type { Markup } from "../markup.ts";
import { change, duration, grouped, NONE, percent, percentTick, short, tickLabel } from "../numbers.ts";
import type { Density, Stack } from "../record/reports.ts";
import { stackDensity, type Summary } from "../record/summary.ts";
import { binned, densitiesOf, finalGates, layersOf, stacksOf, stepsOf } from "../record/timeline.ts";
import { densityNote, hasSkipped, measuresOf } from "./density.ts";
import { binTitle, CURVE_POINTS } from "./losses.ts";

/** Runs side by side: what they came to, their densities, gates and curves. The first is what changes are relative to. */
export function comparison(summaries: readonly Summary[]): readonly (Markup | undefined)[] {
  return [
    section("Results", table(summaries), metricsFigure(summaries)),
    section("Activation density", ...densityFigures(summaries), courseFigure(summaries)),
    section("Gates of MLP blocks (ADA-DEFT)", ...gateFigures(summaries)),
    section("Training", lossFigure(summaries)),
  ];
}

type Row = readonly [title: string, cell: (summary: Summary) => string | undefined];

/** A column for each run; rows that no run has are left out. */
function table(summaries: readonly Summary[]): Markup {
  const first = summaries[0];
  const measured = [...new Set(summaries.flatMap(({ results }) => results.flatMap(({ split, metrics }) => Object.keys(metrics).map((name) => JSON.stringify([split, name])))))].map((key) => JSON.parse(key) as [split: string, name: string]);
  const ofWhat = hasSkipped(summaries.flatMap(({ density }) => density ?? [])) ? ", of the blocks that run" : "";
  const rows: readonly Row[] = [
    ["kind", ({ kind }) => kind],
    ["methods", ({ methods }) => methods.join(" + ") || undefined],
    ["loss terms × weight", ({ terms }) => terms.map(({ name, weight }) => `${name} × ${tickLabel(weight)}`).join(", ") || undefined],
    ["trainable parameters", ({ trainable }) => (trainable === undefined ? undefined : grouped(trainable))],
    ...measured.map(([split, name]): Row => [`${name}, ${split}`, ({ results }) => present(short(results.find((result) => result.split === split)?.metrics[name]))]),
    ...(["encoder", "decoder"] as const).flatMap((stack): Row[] => [
      [`${stack} density, %${ofWhat}`, ({ density }) => present(percent(stackDensity(density, stack)))],
      [`change from ${first?.run.label ?? ""}`, (summary) => (summary === first ? undefined : present(change(stackDensity(first?.density, stack), stackDensity(summary.density, stack))))],
    ]),
    ["split of the density", ({ densitySplit }) => densitySplit],
    ["blocks skipped", ({ blocks }) => (blocks === undefined ? undefined : `${blocks.skipped} of ${blocks.of}`)],
    ["energy, zero-skipping / dense", ({ energy }) => energy?.toFixed(3)],
    ["time of the run", ({ run: { started, milliseconds } }) => (started === undefined ? undefined : duration(milliseconds))],
  ];
  const cells = rows.map(([title, cell]) => ({ title, values: summaries.map(cell) })).filter(({ values }) => values.some((value) => value !== undefined));
  return scrolling("Runs side by side", { columns: [{ title: "" }, ...summaries.map(({ run }) => ({ title: run.label, numeric: true }))], rows: cells.map(({ title, values }) => [title, ...values.map((value) => value ?? NONE)]) });
}

function present(text: string): string | undefined {
  return text === NONE ? undefined : text;
}

/** Metrics of the first split that all have; the loss, which is no fraction, is left to the table. */
function metricsFigure(summaries: readonly Summary[]): Markup | undefined {
  const split = summaries[0]?.results.map(({ split }) => split).find((name) => summaries.every(({ results }) => results.some((result) => result.split === name)));
  if (split === undefined) return undefined;
  const metricsOf = ({ results }: Summary): Readonly<Record<string, number>> => results.find((result) => result.split === split)?.metrics ?? {};
  const names = Object.keys(metricsOf(summaries[0] as Summary)).filter((name) => name !== "loss");
  if (names.length === 0) return undefined;
  const series = summaries.map((summary) => ({ name: summary.run.label, values: names.map((name) => metricsOf(summary)[name]) }));
  const title = `Metrics on ${split}`;
  return figure({
    title, legend: series,
    chart: barChart({ title, groups: names, series, xLabel: "metric", yLabel: "value", yFormat: tickLabel }),
    table: { columns: [{ title: "run" }, ...names.map((name) => ({ title: name, numeric: true }))], rows: series.map(({ name, values }) => [name, ...values.map(short)]) },
  });
}

function densityFigures(summaries: readonly Summary[]): readonly (Markup | undefined)[] {
  const having = summaries.flatMap(({ run, density }) => (density === undefined ? [] : [{ run, density }]));
  if (having.length < 2) return [];
  return stacksIn(summaries).flatMap((stack) =>
    measuresOf((having[0] as { density: Density }).density).map((measure) => {
      const layers = layersOf(having.flatMap(({ density }) => density.layers), stack);
      const series = having.map(({ run, density }) => ({
        name: run.label,
        values: layers.map((layer) => {
          const shares = density.layers.find((found) => found.stack === stack && found.layer === layer);
          return shares === undefined ? undefined : measure.real(shares);
        }),
      }));
      return byLayer({ title: `Density (${measure.name}) by ${stack} layer, at the end`, note: densityNote(having.map(({ density }) => density)), stack, layers, series, yLabel: "active neurons, %", tick: percentTick, cell: percent });
    }),
  );
}

function gateFigures(summaries: readonly Summary[]): readonly (Markup | undefined)[] {
  const having = summaries.flatMap(({ run }) => [finalGates(run)].flatMap((readings) => (readings === undefined ? [] : [{ run, readings }])));
  if (having.length < 2) return [];
  return stacksOf(having.flatMap(({ readings }) => readings)).map((stack) => {
    const layers = layersOf(having.flatMap(({ readings }) => readings), stack);
    const series = having.map(({ run, readings }) => ({ name: run.label, values: layers.map((layer) => readings.find((reading) => reading.stack === stack && reading.layer === layer)?.gate) }));
    const skipped = having.flatMap(({ run, readings }) => readings.filter((reading) => reading.stack === stack && reading.skipped).map(({ layer }) => `${run.label} ${layer}`));
    const note = skipped.length === 0 ? "No block is skipped." : `Skipped blocks: ${skipped.join(", ")}.`;
    return byLayer({ title: `Learned gates by ${stack} layer`, note, stack, layers, series, yLabel: "gate g", tick: tickLabel, cell: short });
  });
}

interface ByLayer {
  readonly title: string;
  readonly note?: string;
  readonly stack: Stack;
  readonly layers: readonly number[];
  readonly series: readonly { readonly name: string; readonly values: readonly (number | undefined)[] }[];
  readonly yLabel: string;
  readonly tick: (value: number) => string;
  readonly cell: (value: number | undefined) => string;
}

/** Nothing where fewer than two runs have the stack. */
function byLayer({ title, note, stack, layers, series: all, yLabel, tick, cell }: ByLayer): Markup | undefined {
  const series = all.filter(({ values }) => values.some((value) => value !== undefined));
  if (series.length < 2) return undefined;
  return figure({
    title, note, legend: series,
    chart: barChart({ title, groups: layers.map(String), series, xLabel: `${stack} layer`, yLabel, yFormat: tick }),
    table: { columns: [{ title: "layer" }, ...series.map(({ name }) => ({ title: name, numeric: true }))], rows: layers.map((layer, i) => [String(layer), ...series.map(({ values }) => cell(values[i]))]) },
  });
}

/** Mean density of both stacks' layers together, by step. */
function courseFigure(summaries: readonly Summary[]): Markup | undefined {
  const lines = summaries.map(({ run }) => ({
    name: run.label,
    points: densitiesOf(run).map(({ at, density: { layers } }) => ({ x: at, y: layers.reduce((sum, { exact }) => sum + exact, 0) / layers.length })),
  })).filter(({ points }) => points.length > 1);
  if (lines.length < 2) return undefined;
  const title = "Density (≠ 0) over time, mean over all layers";
  return figure({
    title, note: densityNote(summaries.flatMap(({ run }) => densitiesOf(run).map(({ density }) => density))), legend: lines,
    chart: lineChart({ title, lines, yLabel: "active neurons, %", yFormat: percentTick, zero: true }),
    table: { columns: [{ title: "run" }, { title: "step", numeric: true }, { title: "density %", numeric: true }], rows: lines.flatMap(({ name, points }) => points.map(({ x, y }) => [name, grouped(x), percent(y)])) },
  });
}

function lossFigure(summaries: readonly Summary[]): Markup | undefined {
  const lines = summaries.map(({ run }) => ({
    name: run.label,
    points: run.stages.flatMap((stage, i) => binned(stage.steps, ({ loss, terms }) => terms["task"] ?? loss, { limit: CURVE_POINTS, offset: stepsOf(run.stages.slice(0, i)) })),
  })).filter(({ points }) => points.length > 1);
  if (lines.length < 2) return undefined;
  const title = "Task loss by step";
  const isMean = lines.some(({ points }) => points.some(({ from, to }) => to > from));
  return figure({
    title, note: isMean ? "Points are means of the steps that the table names." : undefined, legend: lines,
    chart: lineChart({ title, lines, yLabel: "task loss", yFormat: tickLabel, zero: true }),
    table: { columns: [{ title: "run" }, { title: "step" }, { title: "task loss", numeric: true }], rows: lines.flatMap(({ name, points }) => points.map((bin) => [name, binTitle(bin), short(bin.y)])) },
  });
}

function stacksIn(summaries: readonly Summary[]): readonly Stack[] {
  return stacksOf(summaries.flatMap(({ density }) => density?.layers ?? []));
}

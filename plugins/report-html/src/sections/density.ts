import { barChart } from "../chart/bars.ts";
import { lineChart } from "../chart/lines.ts";
import { figure, section, type Column } from "../figure.ts";
import type { Markup } from "../markup.ts";
import { change, grouped, percent, percentTick } from "../numbers.ts";
import type { RunRecord } from "../record/record.ts";
import { densitiesOf, finalOf, layersOf, stacksOf, whenOf } from "../record/timeline.ts";
import type { Density, Shares, Stack } from "../record/reports.ts";

/** One way of counting a neuron as active. */
export interface Measure {
  readonly name: string;
  real(shares: Shares): number | undefined;
  padded(shares: Shares): number | undefined;
}

type Measured = ReturnType<typeof densitiesOf>[number];

const PADDING_NOTE = "Padded positions are left out of the chart.";
const SKIPPED_NOTE = "Blocks that are skipped have no density: means are over those that run.";

/** What a reader must know of these densities: that padding is left out, and skipped blocks where there are any. */
export function densityNote(densities: readonly Density[]): string {
  return hasSkipped(densities) ? `${PADDING_NOTE} ${SKIPPED_NOTE}` : PADDING_NOTE;
}

/** Whether some of these densities of one model lack layers that others have. */
export function hasSkipped(densities: readonly Density[]): boolean {
  return new Set(densities.map(({ layers }) => layers.length)).size > 1;
}

/** Activation density in the course of the run, and by layer before and after; encoder and decoder apart. */
export function density(run: RunRecord): Markup | undefined {
  const measured = densitiesOf(run);
  const last = measured.at(-1);
  if (last === undefined) return undefined;
  const measures = measuresOf(last.density);
  return section(
    "Activation density",
    measured.length > 1 ? measures.map((measure) => courseFigure(measured, measure)) : undefined,
    measures.flatMap((measure) => stacksOf(measured.flatMap(({ density }) => density.layers)).map((stack) => layerFigure(run, measured, { measure, stack }))),
  );
}

/** Exact zeros, and each threshold that was measured. */
export function measuresOf({ layers: [first] }: Density): readonly Measure[] {
  const exact: Measure = { name: "≠ 0", real: ({ exact }) => exact, padded: ({ exactIncludingPadding }) => exactIncludingPadding };
  const thresholds = (first?.thresholded ?? []).map(({ threshold }): Measure => {
    const at = ({ thresholded }: Shares): Shares["thresholded"][number] | undefined => thresholded.find((one) => one.threshold === threshold);
    return { name: `|a| > ${threshold}`, real: (shares) => at(shares)?.share, padded: (shares) => at(shares)?.shareIncludingPadding };
  });
  return [exact, ...thresholds];
}

function courseFigure(measured: readonly Measured[], measure: Measure): Markup {
  const stacks = stacksOf(measured.flatMap(({ density }) => density.layers));
  const value = ({ density }: Measured, stack: Stack, of: keyof Pick<Measure, "real" | "padded"> = "real"): number | undefined => (density[stack] === null ? undefined : measure[of](density[stack]));
  const lines = stacks.map((stack) => ({ name: stack, points: measured.map((one) => ({ x: one.at, y: value(one, stack) ?? NaN })) }));
  const title = `Density (${measure.name}) over time, mean over layers`;
  const columns: Column[] = [{ title: "evaluation" }, { title: "step", numeric: true }, ...stacks.flatMap((stack) => [{ title: `${stack} %`, numeric: true }, { title: "padding in %", numeric: true }])];
  return figure({
    title, note: `On the split ${measured[0]?.split ?? ""}. ${densityNote(measured.map(({ density }) => density))}`, legend: lines,
    chart: lineChart({ title, lines, yLabel: "active neurons, %", yFormat: percentTick, zero: true }),
    table: { columns, rows: measured.map((one) => [`${one.stage.index + 1} ${one.stage.id}`, grouped(one.at), ...stacks.flatMap((stack) => [percent(value(one, stack)), percent(value(one, stack, "padded"))])]) },
  });
}

function layerFigure(run: RunRecord, measured: readonly Measured[], { measure, stack }: { measure: Measure; stack: Stack }): Markup {
  const ends = [...new Set([measured[0] as Measured, finalOf(run, measured) as Measured])];
  const layers = layersOf(ends.flatMap(({ density }) => density.layers), stack);
  const shares = (one: Measured, layer: number): Shares | undefined => one.density.layers.find((found) => found.stack === stack && found.layer === layer);
  const value = (one: Measured, layer: number, of: keyof Pick<Measure, "real" | "padded"> = "real"): number | undefined => {
    const found = shares(one, layer);
    return found === undefined ? undefined : measure[of](found);
  };
  const series = ends.map((one) => ({ name: `${whenOf(run, one)} (${one.stage.id})`, values: layers.map((layer) => value(one, layer)) }));
  const title = `Density (${measure.name}) by ${stack} layer`;
  const columns: Column[] = [{ title: "layer" }, ...series.flatMap(({ name }) => [{ title: `${name} %`, numeric: true }, { title: "padding in %", numeric: true }]), ...(ends.length > 1 ? [{ title: "change", numeric: true }] : [])];
  return figure({
    title, note: `On the split ${ends[0]?.split ?? ""}. ${densityNote(ends.map(({ density }) => density))}`, legend: series,
    chart: barChart({ title, groups: layers.map(String), series, xLabel: `${stack} layer`, yLabel: "active neurons, %", yFormat: percentTick }),
    table: {
      columns,
      rows: layers.map((layer) => [
        String(layer),
        ...ends.flatMap((one) => [percent(value(one, layer)), percent(value(one, layer, "padded"))]),
        ...(ends.length > 1 ? [change(value(ends[0] as Measured, layer), value(ends[1] as Measured, layer))] : []),
      ]),
    },
  });
}

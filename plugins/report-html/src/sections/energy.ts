import { barChart } from "../chart/bars.ts";
import { figure, scrolling, section } from "../figure.ts";
import { html, type Markup } from "../markup.ts";
import { grouped, magnitudeOf, NONE, percent, scaled, tickLabel } from "../numbers.ts";
import type { RunRecord } from "../record/record.ts";
import type { Energy, Stack } from "../record/reports.ts";
import { energiesOf, finalOf, stacksOf, stageTitle, whenOf } from "../record/timeline.ts";

const PICO = 1e-12;

/** The estimated work and energy of a zero-skipping machine beside a dense one: by evaluation, and by layer for the one that says what the run came to. */
export function energy(run: RunRecord): Markup | undefined {
  const all = energiesOf(run);
  const final = finalOf(run, all);
  if (final === undefined) return undefined;
  const { source, multiply, add, dram } = final.energy.constants;
  const columns = [{ title: "evaluation" }, { title: "split" }, { title: "MACs", numeric: true }, { title: "skipped %", numeric: true }, { title: "bytes", numeric: true }, { title: "saved %", numeric: true }, { title: "energy, dense", numeric: true }, { title: "zero-skipping", numeric: true }, { title: "ratio", numeric: true }];
  const rows = all.map(({ stage, at, split, energy: { total } }) => [`${stageTitle(stage)}, step ${grouped(at)}`, split, scaled(total.macs.dense, ""), percentSkipped(total.macs), scaled(total.bytes.dense, "B"), percentSkipped(total.bytes), joules(total.picojoules.dense), joules(total.picojoules.zeroSkipping), ratio(total.picojoules.ratio)]);
  return section(
    "Operations and energy",
    html`<p>An estimate from counts of operations, not a measurement: ${multiply} pJ a multiplication, ${add} pJ an addition, ${dram} pJ for 32 bits from DRAM. Source: ${source}.</p>`,
    scrolling("Operations and energy by evaluation", { columns, rows }),
    stacksOf(final.energy.layers).map((stack) => layerFigure(final, { stack, when: final === all.at(-1) ? "the last evaluation" : `the evaluation of the state that was kept, ${whenOf(run, final)}` })),
  );
}

function layerFigure({ energy: { layers } }: { readonly energy: Energy }, { stack, when }: { readonly stack: Stack; readonly when: string }): Markup | undefined {
  const shown = layers.filter((layer) => layer.stack === stack && layer.layer !== null);
  if (shown.length === 0) return undefined;
  const series = [{ name: "dense machine", values: shown.map(({ picojoules }) => picojoules.dense * PICO) }, { name: "zero-skipping machine", values: shown.map(({ picojoules }) => picojoules.zeroSkipping * PICO) }];
  const { factor, prefix } = magnitudeOf(Math.max(...series.flatMap(({ values }) => values)));
  const title = `Estimated energy by ${stack} layer`;
  return figure({
    title, note: `Over ${when}. MACs: multiply-accumulates.`, legend: series,
    chart: barChart({ title, groups: shown.map(({ layer }) => String(layer)), series, xLabel: `${stack} layer`, yLabel: `energy, ${prefix}J`, yFormat: (value) => tickLabel(value / factor) }),
    table: {
      columns: [{ title: "layer" }, { title: "dense", numeric: true }, { title: "zero-skipping", numeric: true }, { title: "ratio", numeric: true }, { title: "MACs skipped %", numeric: true }],
      rows: shown.map(({ layer, picojoules, macs }) => [String(layer), joules(picojoules.dense), joules(picojoules.zeroSkipping), ratio(picojoules.ratio), percentSkipped(macs)]),
    },
  });
}

function joules(picojoules: number): string {
  return scaled(picojoules * PICO, "J");
}

function percentSkipped({ dense, skipped }: { readonly dense: number; readonly skipped: number }): string {
  return dense === 0 ? NONE : percent(skipped / dense);
}

function ratio(value: number | null): string {
  return value === null ? NONE : value.toFixed(3);
}

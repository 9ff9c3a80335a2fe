import { barChart } from "../chart/bars.ts";
import { heatMap } from "../chart/heat-map.ts";
import { figure, section } from "../figure.ts";
import { html, type Markup } from "../markup.ts";
import { grouped, short, tickLabel } from "../numbers.ts";
import type { RunRecord } from "../record/record.ts";
import type { Plan, Reading, Stack } from "../record/reports.ts";
import { finalGates, gatesOf, lastPlan, layersOf, stacksOf } from "../record/timeline.ts";

type Measured = ReturnType<typeof gatesOf>[number];

/** The gates that ADA-DEFT learned: by layer, with the blocks that the plan skips, and in the course of the run. */
export function gates(run: RunRecord): Markup | undefined {
  const final = finalGates(run);
  if (final === undefined) return undefined;
  const plan = lastPlan(run);
  const course = gatesOf(run).filter(({ stage }) => stage.training !== undefined);
  return section(
    "Gates of MLP blocks (ADA-DEFT)",
    html`<p>${planSentence(final, plan)}</p>`,
    stacksOf(final).map((stack) => gateFigure(final.filter((reading) => reading.stack === stack), stack)),
    course.length > 1 ? stacksOf(final).map((stack) => courseFigure(course, stack)) : undefined,
  );
}

function planSentence(readings: readonly Reading[], plan: Plan | undefined): string {
  const skipped = readings.filter((reading) => reading.skipped).map(({ stack, layer }) => `${stack} ${layer}`);
  const found = skipped.length === 0 ? `No block of ${readings.length} is skipped.` : `${skipped.length} of ${readings.length} blocks ${skipped.length === 1 ? "is" : "are"} skipped: ${skipped.join(", ")}.`;
  if (plan === undefined) return found;
  const { strategy, threshold, metric, split, before, after } = plan;
  const threshed = threshold === undefined ? "" : ` Threshold of |g|: ${short(threshold)}.`;
  const cost = metric === undefined ? "" : ` On ${split ?? "the split"}, ${metric} went from ${short(before)} to ${short(after)}; the plan was searched on this split.`;
  return `Strategy ${strategy}. ${found}${threshed}${cost}`;
}

function gateFigure(readings: readonly Reading[], stack: Stack): Markup {
  const some = readings.some(({ skipped }) => skipped);
  const kept = { name: "kept", values: readings.map(({ gate, skipped }) => (skipped ? undefined : gate)) };
  const series = some ? [kept, { name: "skipped", hollow: true, values: readings.map(({ gate, skipped }) => (skipped ? gate : undefined)) }] : [kept];
  const title = `Learned gate by ${stack} layer`;
  return figure({
    title, legend: series,
    chart: barChart({ title, groups: readings.map(({ layer }) => String(layer)), series, shared: true, xLabel: `${stack} layer`, yLabel: "gate g", yFormat: tickLabel }),
    table: { columns: [{ title: "layer" }, { title: "gate g", numeric: true }, { title: "block" }], rows: readings.map(({ layer, gate, skipped }) => [String(layer), short(gate), skipped ? "skipped" : "kept"]) },
  });
}

function courseFigure(course: readonly Measured[], stack: Stack): Markup {
  const layers = layersOf(course.flatMap(({ readings }) => readings), stack);
  const gateAt = ({ readings }: Measured, layer: number): number | undefined => readings.find((reading) => reading.stack === stack && reading.layer === layer)?.gate;
  const title = `Gates in the course of training, ${stack}`;
  return figure({
    title, note: "As evaluation takes them.",
    chart: heatMap({ title, rows: layers.map((layer) => ({ name: `layer ${layer}`, values: course.map((one) => gateAt(one, layer)) })), columns: course.map(({ at }) => grouped(at)), xLabel: "step", format: (gate) => gate.toFixed(2) }),
    table: { columns: [{ title: "step" }, ...layers.map((layer) => ({ title: `layer ${layer}`, numeric: true }))], rows: course.map((one) => [grouped(one.at), ...layers.map((layer) => short(gateAt(one, layer)))]) },
  });
}

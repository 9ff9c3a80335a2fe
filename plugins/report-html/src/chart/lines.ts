import { html, type Markup } from "../markup.ts";
import { grouped } from "../numbers.ts";
import type { Point } from "../record/timeline.ts";
import { framed, PLOT, yScale } from "./frame.ts";
import { axisOf, countAxis, linear, px } from "./scale.ts";

/** One line of a chart. */
export interface Line {
  readonly name: string;
  readonly points: readonly Point[];
}

/** What a chart of lines over steps shows. */
export interface LineChart {
  readonly title: string;
  readonly lines: readonly Line[];
  readonly yLabel: string;
  readonly yFormat: (value: number) => string;
  /** Whether the vertical axis begins at 0. */
  readonly zero: boolean;
}

/** Lines with more points than this have no markers. */
const MOST_MARKERS = 40;

/** Lines over the run's steps. Points that are not finite are left out. */
export function lineChart({ title, lines, yLabel, yFormat, zero }: LineChart): Markup {
  const finite = lines.map(({ name, points }) => ({ name, points: points.filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y)) }));
  const all = finite.flatMap(({ points }) => points);
  const [xAxis, yAxis] = [countAxis(all.map(({ x }) => x)), axisOf(all.map(({ y }) => y), { zero })];
  const [x, y] = [linear(xAxis.domain, [PLOT.left, PLOT.right]), yScale(yAxis)];
  const drawn = finite.map(({ name, points }, i) => {
    const places = points.map((point) => ({ ...point, cx: px(x(point.x)), cy: px(y(point.y)) }));
    const line = places.length > 1 && html`<polyline class="line s${i % 6}" points="${places.map(({ cx, cy }) => `${cx},${cy}`).join(" ")}"/>`;
    const markers = places.length <= MOST_MARKERS && places.map((point) => html`<circle class="dot s${i % 6}" cx="${point.cx}" cy="${point.cy}" r="3"><title>${name}, step ${grouped(point.x)}: ${yFormat(point.y)}</title></circle>`);
    return [line, markers];
  });
  const xTicks = xAxis.ticks.map((tick) => ({ at: x(tick), label: grouped(tick) }));
  return framed({ title, y: yAxis, yLabel, yFormat, xLabel: "step", xTicks }, drawn);
}

import { html, type Markup } from "../markup.ts";
import { framed, PLOT, yScale } from "./frame.ts";
import { axisOf, px } from "./scale.ts";

/** Bars of one kind: a value for each group, undefined where there is none. */
export interface BarSeries {
  readonly name: string;
  readonly values: readonly (number | undefined)[];
  /** Drawn as an outline; filled when left out. */
  readonly hollow?: boolean | undefined;
}

/** What a chart of bars shows. */
export interface BarChart {
  readonly title: string;
  readonly groups: readonly string[];
  readonly series: readonly BarSeries[];
  readonly xLabel: string;
  readonly yLabel: string;
  readonly yFormat: (value: number) => string;
  /** Whether the series have one place in a group, each group being of one series; side by side when left out. */
  readonly shared?: boolean | undefined;
}

/** Share of a group's width that its bars take. */
const FILLED = 0.72;
/** Bars are no wider than this. */
const WIDEST = 44;
/** More groups than this are not all labelled. */
const MOST_LABELS = 24;

/** Bars from 0, in groups. */
export function barChart({ title, groups, series, xLabel, yLabel, yFormat, shared = false }: BarChart): Markup {
  const axis = axisOf(series.flatMap(({ values }) => values.filter((value) => value !== undefined)), { zero: true });
  const y = yScale(axis);
  const band = (PLOT.right - PLOT.left) / Math.max(1, groups.length);
  const places = shared ? 1 : series.length;
  const width = Math.min(WIDEST, (band * FILLED) / places);
  const left = (group: number, place: number): number => PLOT.left + band * (group + 0.5) + width * ((shared ? 0 : place) - places / 2);
  const bars = series.map(({ name, values, hollow = false }, s) =>
    values.map((value, g) => {
      if (value === undefined || !Number.isFinite(value)) return undefined;
      const [top, bottom] = [y(Math.max(0, value)), y(Math.min(0, value))];
      return html`<rect class="bar s${s % 6}${hollow ? " hollow" : ""}" x="${px(left(g, s))}" y="${px(top)}" width="${px(width)}" height="${px(bottom - top)}"><title>${name}, ${groups[g]}: ${yFormat(value)}</title></rect>`;
    }),
  );
  const every = Math.ceil(groups.length / MOST_LABELS);
  const xTicks = groups.flatMap((label, g) => (g % every === 0 ? [{ at: PLOT.left + band * (g + 0.5), label }] : []));
  return framed({ title, y: axis, yLabel, yFormat, xLabel, xTicks }, bars);
}

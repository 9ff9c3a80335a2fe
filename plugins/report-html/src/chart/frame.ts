import { html, type Markup, type Piece } from "../markup.ts";
import { linear, px, type Axis, type Scale } from "./scale.ts";

/** Width of every chart, in its own units; the page scales it. */
export const WIDTH = 640;
/** Height of charts with axes. */
export const HEIGHT = 280;
const MARGIN = { left: 58, right: 14, top: 12, bottom: 46 };

/** The rectangle that values are drawn in. */
export const PLOT = { left: MARGIN.left, right: WIDTH - MARGIN.right, top: MARGIN.top, bottom: HEIGHT - MARGIN.bottom } as const;

/** What stands around a chart's marks. */
export interface FrameOptions {
  /** The chart's name for people who do not see it. */
  readonly title: string;
  readonly y: Axis;
  readonly yLabel: string;
  readonly yFormat: (value: number) => string;
  readonly xLabel: string;
  readonly xTicks: readonly { readonly at: number; readonly label: string }[];
}

/** The scale of the vertical axis. */
export function yScale({ domain }: Axis): Scale {
  return linear(domain, [PLOT.bottom, PLOT.top]);
}

/** An SVG with axes around marks. */
export function framed({ title, y, yLabel, yFormat, xLabel, xTicks }: FrameOptions, marks: Piece): Markup {
  const scale = yScale(y);
  const middle = (PLOT.top + PLOT.bottom) / 2;
  return svg({ title, height: HEIGHT }, [
    y.ticks.map((tick) => html`<line class="${tick === 0 ? "zero" : "grid"}" x1="${PLOT.left}" x2="${PLOT.right}" y1="${px(scale(tick))}" y2="${px(scale(tick))}"/><text class="tick" text-anchor="end" x="${PLOT.left - 8}" y="${px(scale(tick) + 4)}">${yFormat(tick)}</text>`),
    xTicks.map(({ at, label }) => html`<text class="tick" text-anchor="middle" x="${px(at)}" y="${PLOT.bottom + 18}">${label}</text>`),
    html`<text class="axis" text-anchor="middle" x="${(PLOT.left + PLOT.right) / 2}" y="${HEIGHT - 8}">${xLabel}</text>`,
    html`<text class="axis" text-anchor="middle" transform="rotate(-90 14 ${middle})" x="14" y="${middle}">${yLabel}</text>`,
    marks,
  ]);
}

/** A drawing with a name. */
export function svg({ title, height }: { title: string; height: number }, content: Piece): Markup {
  return html`<svg role="img" viewBox="0 0 ${WIDTH} ${height}" xmlns="http://www.w3.org/2000/svg"><title>${title}</title>${content}</svg>`;
}

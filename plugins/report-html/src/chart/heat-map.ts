import { html, type Markup } from "../markup.ts";
import { svg, WIDTH } from "./frame.ts";
import { px } from "./scale.ts";

/** What a heat map shows: a row of values for each name, a column for each step. */
export interface HeatMap {
  readonly title: string;
  readonly rows: readonly { readonly name: string; readonly values: readonly (number | undefined)[] }[];
  readonly columns: readonly string[];
  readonly xLabel: string;
  readonly format: (value: number) => string;
}

const LEFT = 92;
const RIGHT = 14;
const ROW = 24;
/** Columns wider than this have their values written in. */
const WRITTEN = 44;
/** Opacity of cells; values written on the strongest are still read well in both schemes. */
const FAINTEST = 0.04;
const STRONGEST = 0.56;
/** More columns than this are not all labelled. */
const MOST_LABELS = 12;

/** Cells, the darker the greater |value| is beside the greatest. */
export function heatMap({ title, rows, columns, xLabel, format }: HeatMap): Markup {
  const width = (WIDTH - LEFT - RIGHT) / Math.max(1, columns.length);
  const greatest = Math.max(...rows.flatMap(({ values }) => values.map((value) => Math.abs(value ?? 0))), Number.MIN_VALUE);
  const every = Math.ceil(columns.length / MOST_LABELS);
  const bottom = rows.length * ROW;
  return svg({ title, height: bottom + 46 }, [
    rows.map(({ name, values }, r) => [
      html`<text class="tick" text-anchor="end" x="${LEFT - 8}" y="${r * ROW + 16}">${name}</text>`,
      values.map((value, c) => cell({ value, format, x: LEFT + c * width, y: r * ROW, width, share: Math.abs(value ?? 0) / greatest, about: `${name}, ${columns[c] ?? ""}` })),
    ]),
    columns.map((column, c) => c % every === 0 && html`<text class="tick" text-anchor="middle" x="${px(LEFT + (c + 0.5) * width)}" y="${bottom + 16}">${column}</text>`),
    html`<text class="axis" text-anchor="middle" x="${(LEFT + WIDTH - RIGHT) / 2}" y="${bottom + 38}">${xLabel}</text>`,
  ]);
}

function cell({ value, format, x, y, width, share, about }: { value: number | undefined; format: (value: number) => string; x: number; y: number; width: number; share: number; about: string }): Markup | undefined {
  if (value === undefined || !Number.isFinite(value)) return undefined;
  const written = width > WRITTEN && html`<text class="cell-value" text-anchor="middle" x="${px(x + width / 2)}" y="${y + 16}">${format(value)}</text>`;
  return html`<rect class="cell s0" fill-opacity="${px(FAINTEST + (STRONGEST - FAINTEST) * share)}" x="${px(x + 1)}" y="${y + 1}" width="${px(Math.max(1, width - 2))}" height="${ROW - 2}"><title>${about}: ${format(value)}</title></rect>${written}`;
}

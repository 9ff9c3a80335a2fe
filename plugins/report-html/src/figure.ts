import { html, type Markup, type Piece } from "./markup.ts";

/** A column of a table. */
export interface Column {
  readonly title: string;
  /** Figures stand to the right; text to the left. */
  readonly numeric?: boolean | undefined;
}

/** A table; each row's first cell is its head. */
export interface Table {
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly Piece[])[];
}

/** A chart with the table of its values beside it. */
export interface Figure {
  readonly title: string;
  readonly note?: string | undefined;
  /** What the colours mean, in their order; none for a single series. */
  readonly legend?: readonly { readonly name: string; readonly hollow?: boolean | undefined }[] | undefined;
  readonly chart: Markup;
  readonly table: Table;
}

/** Puts a chart and its values side by side. */
export function figure({ title, note, legend = [], chart, table }: Figure): Markup {
  const keys = legend.length > 1 && html`<ul class="legend">${legend.map(({ name, hollow = false }, i) => html`<li><svg class="key" viewBox="0 0 14 10" aria-hidden="true"><rect class="bar s${i % 6}${hollow ? " hollow" : ""}" x="1" y="1" width="12" height="8"/></svg>${name}</li>`)}</ul>`;
  return html`<figure><figcaption><h4>${title}</h4>${note !== undefined && html`<p class="note">${note}</p>`}${keys}</figcaption>
<div class="beside"><div class="chart">${chart}</div>${scrolling(`${title}: values`, table)}</div></figure>`;
}

/** A table that scrolls where it is too large. */
export function scrolling(name: string, table: Table): Markup {
  return html`<div class="scroll" role="region" tabindex="0" aria-label="${name}">${tableOf(name, table)}</div>`;
}

/** A heading with what stands under it; nothing where that is nothing. */
export function section(title: string, ...content: readonly Piece[]): Markup | undefined {
  const present = content.filter((piece) => piece !== undefined && piece !== false && !(Array.isArray(piece) && piece.length === 0));
  return present.length === 0 ? undefined : html`<section><h3>${title}</h3>${present}</section>\n`;
}

function tableOf(name: string, { columns, rows }: Table): Markup {
  const align = (i: number): string => (columns[i]?.numeric === true ? "number" : "text");
  return html`<table><caption class="unseen">${name}</caption><thead><tr>${columns.map(({ title }, i) => html`<th scope="col" class="${align(i)}">${title}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${row.map((cell, i) => (i === 0 ? html`<th scope="row" class="${align(i)}">${cell}</th>` : html`<td class="${align(i)}">${cell}</td>`))}</tr>`)}</tbody></table>`;
}

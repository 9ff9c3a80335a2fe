import { columnOf, firstFields, formatOf, readRows, rowError, textOf, type Row, type TextExample } from "@deft-js/data";
import { GLUE, SCORE_RANGE, type GlueDefinition } from "./definitions.ts";
import type { SplitSource } from "./files.ts";
import type { GlueOptions } from "./options.ts";

/** The columns of CoLA's original TSV files, which have no header. */
const COLA_HEADER = ["source", "label", "mark", "sentence"];

/**
 * The labelled texts of a split, at most `limit`.
 * @throws DeftError `data.row` with file and line for a malformed row or a label outside the range, `data.column` for a missing column
 */
export async function readExamples(source: SplitSource, options: GlueOptions, limit = Number.POSITIVE_INFINITY): Promise<TextExample[]> {
  const definition = GLUE[options.name];
  const examples: TextExample[] = [];
  for (const file of source.files) {
    let columns: Columns | undefined;
    for await (const row of await rowsOf(file, source, options)) {
      if (examples.length >= limit) return examples;
      if (source.holds?.(row) === false) continue;
      columns ??= columnsOf(row, definition);
      examples.push(exampleOf(row, columns, definition));
    }
  }
  return examples;
}

async function rowsOf(file: string, source: SplitSource, { name, skipMalformed }: GlueOptions): Promise<AsyncIterable<Row>> {
  const format = source.format ?? formatOf(file);
  const headless = name === "cola" && format === "tsv" && !(await firstFields(file)).includes("sentence");
  return readRows(file, {
    format,
    header: headless ? COLA_HEADER : undefined,
    onMalformed: skipMalformed ? () => undefined : undefined,
  });
}

interface Columns {
  readonly text: string;
  readonly pair: string | undefined;
  readonly label: string;
}

function columnsOf(row: Row, { text, pair, label }: GlueDefinition): Columns {
  return { text: columnOf(row, text), pair: pair === undefined ? undefined : columnOf(row, pair), label: columnOf(row, label) };
}

function exampleOf(row: Row, columns: Columns, { labels }: GlueDefinition): TextExample {
  const value = row.record[columns.label];
  return {
    text: textOf(row, columns.text),
    pair: columns.pair === undefined ? undefined : textOf(row, columns.pair),
    label: labels.length === 0 ? scoreOf(row, value) : classOf(row, value, labels),
    file: row.file,
    line: row.line,
  };
}

/** A class by its index or its name. */
function classOf(row: Row, value: unknown, labels: readonly string[]): number {
  const shown = typeof value === "string" ? value.trim() : String(value);
  const named = labels.indexOf(shown);
  const index = named >= 0 ? named : /^\d{1,3}$/.test(shown) ? Number(shown) : -1;
  if (index >= 0 && index < labels.length) return index;
  throw rowError(row, `the label must be one of ${labels.map((label, i) => `${i} (${label})`).join(", ")}`, value ?? null, "Correct the label; hidden test sets have none");
}

function scoreOf(row: Row, value: unknown): number {
  const score = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  if (typeof score === "number" && score >= SCORE_RANGE.low && score <= SCORE_RANGE.high) return score;
  throw rowError(row, `the score must be a number from ${SCORE_RANGE.low} to ${SCORE_RANGE.high}`, value ?? null, "Correct the score; hidden test sets have none");
}

import { columnOf, readRows, rowError, textOf, type Row } from "@deft-js/data";
import type { TextOptions } from "./options.ts";

/** A row with its label as the file has it. */
export interface LabelledRow {
  readonly file: string;
  readonly line: number;
  readonly text: string;
  readonly pair: string | undefined;
  /** A class's name, a number for a regression, or the text that is to be generated. */
  readonly label: string | number;
}

/**
 * The rows of one of the user's files.
 * @throws DeftError `data.row` with file and line for a malformed row, an empty text or a label of the wrong kind, `data.column` for a missing column
 */
export async function readLabelledRows(file: string, options: TextOptions): Promise<LabelledRow[]> {
  const { text, pair, target, regression, format } = options;
  const label = options.label ?? (target as string);
  const columns = [text, ...(pair === undefined ? [] : [pair]), label];
  const rows: LabelledRow[] = [];
  for await (const row of readRows(file, { format, columns })) {
    for (const column of columns) columnOf(row, [column]);
    rows.push({
      file,
      line: row.line,
      text: fullText(row, text),
      pair: pair === undefined ? undefined : fullText(row, pair),
      label: target !== undefined ? fullText(row, target) : regression ? numberOf(row, label) : classOf(row, label),
    });
  }
  return rows;
}

function fullText(row: Row, column: string): string {
  const text = textOf(row, column);
  if (text.trim() === "") throw rowError(row, `column ${column} must hold a text`, text);
  return text;
}

function numberOf(row: Row, column: string): number {
  const value = row.record[column];
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  if (typeof number !== "number" || !Number.isFinite(number)) throw rowError(row, `column ${column} must hold a number`, value ?? null);
  return number;
}

function classOf(row: Row, column: string): string {
  const value = row.record[column];
  const name = typeof value === "string" ? value.trim() : Number.isSafeInteger(value) || typeof value === "boolean" ? String(value) : "";
  if (name === "") throw rowError(row, `column ${column} must hold a class, a string or a whole number`, value ?? null, "Correct the row, or set regression: true for numbers to be met");
  return name;
}

import { DeftError } from "@deft-js/core";

/** One row of a data file. */
export interface Row {
  /** The file as it was named by the caller. */
  readonly file: string;
  /** Its line (from 1) in text formats, its position (from 1) in a JSON array or Parquet file. */
  readonly line: number;
  /** Values by column: strings in TSV and CSV, anything in the other formats (integers that fit are numbers, not bigints). */
  readonly record: Readonly<Record<string, unknown>>;
}

/** The error of one malformed row: `FILE:LINE: rule, got value. Remedy.`, code `data.row`. */
export function rowError(at: Pick<Row, "file" | "line">, rule: string, got: unknown, remedy = "Correct the row or take it out"): DeftError {
  return new DeftError("data.row", `${at.file}:${at.line}: ${rule}, got ${shown(got)}. ${remedy}.`);
}

/** The error of a whole file, with the code `data.file`. */
export function fileError(file: string, rule: string, got: unknown, remedy: string, cause?: unknown): DeftError {
  return new DeftError("data.file", `${file}: ${rule}, got ${shown(got)}. ${remedy}.`, cause === undefined ? {} : { cause });
}

function shown(value: unknown): string {
  const text = typeof value === "number" || typeof value === "bigint" ? String(value) : (JSON.stringify(value) ?? String(value));
  return text.length > 120 ? `${text.slice(0, 119)}…` : text;
}

/**
 * The first of some column names that a row has.
 * @throws DeftError `data.column`, naming the columns that there are
 */
export function columnOf(row: Row, names: readonly string[]): string {
  const found = names.find((name) => Object.hasOwn(row.record, name));
  if (found !== undefined) return found;
  const known = Object.keys(row.record).slice(0, 40).join(", ");
  throw new DeftError("data.column", `${row.file}: there must be a column ${names.join(" or ")}, got the columns ${known || "of an empty row"}. Name one of these.`);
}

/**
 * The text in a column of a row.
 * @throws DeftError `data.row` when it is not a string
 */
export function textOf(row: Row, column: string): string {
  const value = Object.hasOwn(row.record, column) ? row.record[column] : undefined;
  if (typeof value !== "string") throw rowError(row, `column ${column} must hold a text`, value ?? null);
  return value;
}

/** Checks the names of a header: at least one, none twice. */
export function checkHeader(file: string, header: readonly string[]): void {
  const twice = header.find((name, i) => header.indexOf(name) !== i);
  if (twice !== undefined) throw fileError(file, "the header must name every column once", twice, "Rename one of the two");
}

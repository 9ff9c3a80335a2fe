import type { DeftError } from "@deft-js/core";
import { readLines } from "./lines.ts";
import { checkHeader, fileError, rowError, type Row } from "./row.ts";

/** Options of `readTsv`. */
export interface TsvOptions {
  /** The columns of a file without header row. */
  readonly header?: readonly string[] | undefined;
  readonly maxLineBytes?: number | undefined;
  /** Takes the error of a malformed row, which is then left out; without it the error is thrown. */
  readonly onMalformed?: ((error: DeftError) => void) | undefined;
}

/**
 * The rows of a tab-separated file as GLUE's: no quoting, one row a line, a header row unless `header` is given; blank lines are left out.
 * @throws DeftError `data.row` for a row with another number of columns than the header
 */
export async function* readTsv(file: string, options: TsvOptions = {}): AsyncGenerator<Row> {
  let header = options.header;
  for await (const { number, text } of readLines(file, options)) {
    if (text.trim() === "" && !text.includes("\t")) continue; // a row of empty fields is a row
    const fields = text.split("\t");
    if (header === undefined) {
      header = fields.map((name) => name.trim());
      checkHeader(file, header);
      continue;
    }
    if (fields.length === header.length) yield { file, line: number, record: Object.fromEntries(header.map((name, i) => [name, fields[i]])) };
    else reject(rowError({ file, line: number }, `a row must have ${header.length} columns as the header`, fields.length), options);
  }
}

function reject(error: DeftError, options: TsvOptions): void {
  if (options.onMalformed === undefined) throw error;
  options.onMalformed(error);
}

/**
 * The fields of a tab-separated file's first line.
 * @throws DeftError `data.file` when the file is empty or cannot be read
 */
export async function firstFields(file: string): Promise<readonly string[]> {
  for await (const { text } of readLines(file)) return text.split("\t").map((field) => field.trim());
  throw fileError(file, "the file must hold rows", "an empty file", "Check the path");
}

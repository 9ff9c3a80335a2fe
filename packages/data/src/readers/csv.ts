import { Readable } from "node:stream";
import { parse, CsvError, type Info } from "csv-parse";
import { MAX_LINE_BYTES, readLines } from "./lines.ts";
import { checkHeader, rowError, type Row } from "./row.ts";

/** Options of `readCsv`. */
export interface CsvOptions {
  readonly maxLineBytes?: number | undefined;
}

/**
 * The rows of a comma-separated file with a header row, quoted as RFC 4180 says; empty lines are left out. A row's line is the one on which it ends.
 * @throws DeftError `data.row` for a row with another number of columns, an open or misplaced quote, bytes that are not UTF-8, or more than `maxLineBytes` characters
 */
export async function* readCsv(file: string, options: CsvOptions = {}): AsyncGenerator<Row> {
  const limit = options.maxLineBytes ?? MAX_LINE_BYTES;
  const parser = parse({ info: true, record_delimiter: "\n", skip_empty_lines: true, max_record_size: limit });
  const source = Readable.from(ended(file, limit));
  source.on("error", (error) => parser.destroy(error));
  source.pipe(parser);
  let header: string[] | undefined;
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: string[]; info: Info }>) {
      if (header === undefined) {
        header = record.map((name) => name.trim());
        checkHeader(file, header);
      } else yield { file, line: info.lines, record: Object.fromEntries(header.map((name, i) => [name, record[i]])) };
    }
  } catch (cause) {
    throw cause instanceof CsvError ? csvError(file, cause) : cause;
  } finally {
    source.destroy();
  }
}

/** The file's lines, each with LF (a CRLF within quotes becomes LF). */
async function* ended(file: string, limit: number): AsyncGenerator<string> {
  for await (const { text } of readLines(file, { maxLineBytes: limit })) yield `${text}\n`;
}

/** What csv-parse says of a row, with its line. */
function csvError(file: string, cause: CsvError): Error {
  const line = Number(cause["lines"] ?? 0);
  return rowError({ file, line }, "a row must be CSV as RFC 4180 says, with as many columns as the header", cause.message, "Quote fields that hold commas, quotes or line ends, and double the quotes in them");
}

import { DeftError } from "@deft-js/core";
import { readCsv } from "./csv.ts";
import { readJson, readJsonLines } from "./json.ts";
import { readLines } from "./lines.ts";
import { readParquet } from "./parquet/read.ts";
import type { Row } from "./row.ts";
import { readTsv, type TsvOptions } from "./tsv.ts";

/** The formats of data files; `txt` is one text a line, in a column `text`. */
export const FORMATS = ["tsv", "csv", "jsonl", "json", "parquet", "txt"] as const;

export type Format = (typeof FORMATS)[number];

/** Options of `readRows`. */
export interface ReadOptions extends TsvOptions {
  /** From the file's name when left out. */
  readonly format?: Format | undefined;
  /** The columns that are needed: Parquet reads no others when it has these. */
  readonly columns?: readonly string[] | undefined;
}

/**
 * The rows of a data file of any of the formats.
 * @throws DeftError `data.format` when neither the name nor the options tell the format, `data.row` for a malformed row, `data.file` for an unreadable file
 */
export function readRows(file: string, options: ReadOptions = {}): AsyncIterable<Row> {
  switch (options.format ?? formatOf(file)) {
    case "tsv":
      return readTsv(file, options);
    case "csv":
      return readCsv(file, options);
    case "jsonl":
      return readJsonLines(file, options);
    case "json":
      return readJson(file);
    case "parquet":
      return readParquet(file, options);
    case "txt":
      return readPlainText(file, options);
  }
}

async function* readPlainText(file: string, options: ReadOptions): AsyncGenerator<Row> {
  for await (const { number, text } of readLines(file, options)) if (text.trim() !== "") yield { file, line: number, record: { text } };
}

/**
 * The format that a file's name ends with.
 * @throws DeftError `data.format`
 */
export function formatOf(file: string): Format {
  const ending = /\.([^./\\]+)$/.exec(file)?.[1]?.toLowerCase();
  const format = ending === "ndjson" ? "jsonl" : FORMATS.find((name) => name === ending);
  if (format === undefined) throw new DeftError("data.format", `${file}: the name must end with a known format, got .${ending ?? ""}. Known: ${FORMATS.map((name) => `.${name}`).join(", ")}; or say the format.`);
  return format;
}

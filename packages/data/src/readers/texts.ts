import { readRows, type Format } from "./read.ts";
import { columnOf, textOf, type Row } from "./row.ts";

/** Columns that hold the text when none is named, in order. */
const USUAL = ["text", "sentence", "sentence1", "premise", "question", "question1"] as const;

/** Options of `readTexts`. */
export interface TextsOptions {
  /** The column of the text; `text`, `sentence`, `sentence1`, `premise`, `question` or `question1` when left out. */
  readonly column?: string | undefined;
  /** The column of a second text. */
  readonly pair?: string | undefined;
  readonly format?: Format | undefined;
}

/** A text without label, and where it stands. */
export interface TextRow {
  readonly file: string;
  readonly line: number;
  readonly text: string;
  readonly pair: string | undefined;
}

/**
 * The texts of a data file of any format (`.txt`: one a line), for measuring and predicting.
 * @throws DeftError `data.column` when there is no such column, `data.row` when a row holds no text in it, and what `readRows` throws
 */
export async function* readTexts(file: string, options: TextsOptions = {}): AsyncGenerator<TextRow> {
  let column: string | undefined;
  for await (const row of readRows(file, { format: options.format })) {
    column ??= columnOf(row, options.column === undefined ? USUAL : [options.column]);
    if (options.pair !== undefined) columnOf(row, [options.pair]);
    yield { file, line: row.line, text: textOf(row, column), pair: pairOf(row, options.pair) };
  }
}

function pairOf(row: Row, column: string | undefined): string | undefined {
  return column === undefined ? undefined : textOf(row, column);
}

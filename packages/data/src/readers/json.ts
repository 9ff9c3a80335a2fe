import { readFile, stat } from "node:fs/promises";
import { readLines } from "./lines.ts";
import { fileError, rowError, type Row } from "./row.ts";

/** Largest JSON file that is read whole, in bytes. */
const MAX_JSON_BYTES = 256 * 2 ** 20;

/** Options of `readJsonLines`. */
export interface JsonLinesOptions {
  readonly maxLineBytes?: number | undefined;
}

/**
 * The rows of a file with one JSON object a line; blank lines are left out.
 * @throws DeftError `data.row` for a line that is not a JSON object
 */
export async function* readJsonLines(file: string, options: JsonLinesOptions = {}): AsyncGenerator<Row> {
  for await (const { number, text } of readLines(file, options)) {
    if (text.trim() !== "") yield objectRow(file, number, parsed(file, number, text));
  }
}

function parsed(file: string, line: number, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw rowError({ file, line }, "a line must be a JSON object", text);
  }
}

function objectRow(file: string, line: number, value: unknown): Row {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw rowError({ file, line }, "a row must be a JSON object", value);
  return { file, line, record: value as Record<string, unknown> };
}

/**
 * The content of a JSON file, parsed.
 * @throws DeftError `data.file` when it cannot be read, is larger than 256 MiB or not JSON in UTF-8
 */
export async function readJsonFile(file: string): Promise<unknown> {
  const { size } = await stat(file).catch((cause: NodeJS.ErrnoException) => {
    throw fileError(file, "the file must be readable", cause.code ?? String(cause), "Check the path", cause);
  });
  if (size > MAX_JSON_BYTES) throw fileError(file, `a JSON file may have ${MAX_JSON_BYTES} bytes`, size, "Use JSON lines (.jsonl) instead");
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(await readFile(file)));
  } catch (cause) {
    throw fileError(file, "the file must be JSON in UTF-8", (cause as Error).message, "Correct it, or use JSON lines (.jsonl)", cause);
  }
}

/**
 * The rows of a JSON file that is an array of objects; their lines are positions in the array, from 1.
 * @throws DeftError `data.file` when it is larger than 256 MiB or not a JSON array, `data.row` for an element that is not an object
 */
export async function* readJson(file: string): AsyncGenerator<Row> {
  const content = await readJsonFile(file);
  if (!Array.isArray(content)) throw fileError(file, "a JSON file must hold an array of rows", typeof content, "Wrap the rows in [ ]");
  for (const [i, value] of content.entries()) yield objectRow(file, i + 1, value);
}

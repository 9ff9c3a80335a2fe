import { isUtf8 } from "node:buffer";
import { createReadStream } from "node:fs";
import { fileError, rowError } from "./row.ts";

/** Longest line that is read when nothing else is said, in bytes. */
export const MAX_LINE_BYTES = 2 ** 20;

/** A line of a text file, without its end. */
export interface Line {
  /** From 1. */
  readonly number: number;
  readonly text: string;
}

const NEWLINE = 10;
const CARRIAGE_RETURN = 13;

/**
 * The lines of a UTF-8 file, ended by LF or CRLF and by nothing else; a byte-order mark is dropped.
 * @throws DeftError `data.row` for a line that is too long or not UTF-8, `data.file` when the file cannot be read
 */
export async function* readLines(file: string, options: { maxLineBytes?: number | undefined } = {}): AsyncGenerator<Line> {
  const limit = options.maxLineBytes ?? MAX_LINE_BYTES;
  let number = 1;
  for await (const bytes of byteLines(file, limit)) {
    if (bytes.length > limit) throw rowError({ file, line: number }, `a line may have ${limit} bytes`, `${bytes.length} or more`, "Check that the file is text, with one row a line");
    yield { number, text: decoded(bytes, file, number) };
    number++;
  }
}

/** Lines as bytes without LF; one longer than the limit is given as soon as it is known to be. */
async function* byteLines(file: string, limit: number): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks(file)) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let start = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
      yield bytes.subarray(start, end);
      start = end + 1;
    }
    rest = bytes.subarray(start);
    if (rest.length > limit + 1) yield rest;
  }
  if (rest.length > 0) yield rest;
}

async function* chunks(file: string): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 18 })) yield chunk as Buffer;
  } catch (cause) {
    throw fileError(file, "the file must be readable", (cause as NodeJS.ErrnoException).code ?? String(cause), "Check the path", cause);
  }
}

function decoded(bytes: Buffer, file: string, line: number): string {
  const body = bytes.at(-1) === CARRIAGE_RETURN ? bytes.subarray(0, -1) : bytes;
  if (!isUtf8(body)) throw rowError({ file, line }, "a line must be UTF-8", body.toString("latin1"), "Save the file as UTF-8");
  const text = body.toString("utf8");
  return line === 1 && text.startsWith("\ufeff") ? text.slice(1) : text;
}

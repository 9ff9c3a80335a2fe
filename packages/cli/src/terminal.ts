import { outputError, type CodedError } from "./exit-codes.ts";

/** What a stream must have for the command to write on it. */
export interface OutputStream {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
  on?(event: "error", listener: (error: NodeJS.ErrnoException) => void): unknown;
}

/** Where the command writes. After an error of a stream what follows is dropped; a reader that has gone away (`deft … | head`) is none to be told. */
export class Terminal {
  readonly #out: OutputStream;
  readonly #err: OutputStream;
  #isClosed = false;
  #isErrClosed = false;
  #failure: CodedError | undefined;

  constructor(streams: { readonly out: OutputStream; readonly err: OutputStream }) {
    this.#out = streams.out;
    this.#err = streams.err;
    streams.out.on?.("error", (error) => {
      this.#isClosed = true;
      this.#keep("standard output", error);
    });
    streams.err.on?.("error", (error) => {
      this.#isErrClosed = true;
      this.#keep("standard error", error);
    });
  }

  /** The first error of a stream (`output.unwritable`: a full disk), where there was one. */
  get failure(): CodedError | undefined {
    return this.#failure;
  }

  /** Whether standard output takes nothing any more: a command that does nothing but write may stop. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Whether a line of standard output can be drawn again. */
  get canRedraw(): boolean {
    return this.#out.isTTY === true && process.env["TERM"] !== "dumb";
  }

  /** Width of standard output in characters. */
  get columns(): number {
    return this.#out.columns ?? 80;
  }

  /** Writes to standard output as it is. */
  write(text: string): void {
    if (!this.#isClosed) this.#out.write(text);
  }

  /** Writes a line to standard output. */
  line(text = ""): void {
    this.write(`${text}\n`);
  }

  /** Writes a line to standard error. */
  note(text: string): void {
    if (!this.#isErrClosed) this.#err.write(`${text}\n`);
  }

  #keep(stream: string, error: NodeJS.ErrnoException): void {
    if (!isGone(error)) this.#failure ??= outputError(stream, error);
  }
}

/** The terminal of this process. */
export function processTerminal(): Terminal {
  return new Terminal({ out: process.stdout, err: process.stderr });
}

function isGone(error: NodeJS.ErrnoException): boolean {
  return error.code === "EPIPE" || error.code === "ERR_STREAM_DESTROYED";
}

import type { Encoded, Tokenizer } from "@deft-js/core";
import { DeftError } from "@deft-js/core";

/** A text with its label, before it is encoded. */
export interface TextExample {
  readonly text: string;
  readonly pair?: string | undefined;
  /** A class index, or a score. */
  readonly label: number;
  /** Where it stands, for errors. */
  readonly file: string;
  readonly line: number;
}

/** Options of `encodeTexts`. */
export interface EncodeOptions {
  readonly tokenizer: Tokenizer;
  /** Tokens that an example may have, special ones counted. */
  readonly maxLength: number;
}

/**
 * Encodes examples, cut to `maxLength` tokens.
 * @throws DeftError with the tokenizer's code, naming file and line
 */
export function encodeTexts(examples: readonly TextExample[], { tokenizer, maxLength }: EncodeOptions): Encoded[] {
  return examples.map((example) => located(example, () => ({ ...tokenizer.encode(example.text, example.pair, maxLength), label: example.label })));
}

/** What `make` gives; its errors with the place in the data in front. */
export function located<T>({ file, line }: { readonly file: string; readonly line: number }, make: () => T): T {
  try {
    return make();
  } catch (cause) {
    const code = cause instanceof DeftError ? cause.code : "data.row";
    throw new DeftError(code, `${file}:${line}: ${(cause as Error).message}`, { cause });
  }
}

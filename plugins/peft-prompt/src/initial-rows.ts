import { DeftError, ops, type AttachContext, type Site } from "@deft-js/core";
import type { PromptOptions } from "./options.ts";

/** What the first values are made from. */
export interface InitialRows {
  /** The embedding site in front of which the rows stand. */
  readonly site: Site<"embedding">;
  readonly rows: number;
  readonly options: PromptOptions;
  readonly rng: ops.Rng;
  readonly context: AttachContext;
}

/**
 * The rows' first values, [rows, dModel] row by row: the embeddings of a text's tokens (special tokens included, as HF PEFT takes them), of
 * tokens drawn uniformly from the vocabulary (Lester et al., 2021, section 3.2, draw from the 5,000 most common), or N(0, 1).
 * @throws DeftError `prompt.init` when there is no tokenizer for the text or the site does not tell its tokens' rows
 */
export function initialRows({ site, rows, options, rng, context }: InitialRows): Float32Array {
  const { text, init } = options;
  if (text === undefined && init === "random") return rng.normals(rows * site.dOut, 1);
  const { tokenRows } = site;
  if (tokenRows === undefined) throw new DeftError("prompt.init", `prompt: ${site.path} must tell its tokens' rows, got none. Use init random.`);
  const ids = text === undefined ? Int32Array.from({ length: rows }, () => rng.integer(site.dIn)) : textIds(text, rows, context);
  return ops.scope(() => ops.read(tokenRows(ops.intTensor(ids, [rows]))));
}

/** The text's ids, repeated and cut to `rows`. */
function textIds(text: string, rows: number, { tokenizer }: AttachContext): Int32Array {
  if (tokenizer === undefined) throw new DeftError("prompt.init", `prompt: a tokenizer must be there for text ${JSON.stringify(text)}, got none. Pass it to attach, or leave text out.`);
  const { inputIds } = tokenizer.encode(text, undefined, Number.MAX_SAFE_INTEGER);
  if (inputIds.length === 0) throw new DeftError("prompt.init", `prompt: text must have at least one token, got ${JSON.stringify(text)}. Write another.`);
  return Int32Array.from({ length: rows }, (_, i) => inputIds[i % inputIds.length] as number);
}

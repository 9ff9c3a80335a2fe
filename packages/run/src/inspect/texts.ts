import type { Encoded, Tokenizer } from "@deft-js/core";
import { readTexts } from "@deft-js/data";
import type { Prompt } from "./prompt.ts";

/** A text to be looked at. */
export interface Text {
  readonly text: string;
  readonly pair?: string | undefined;
}

/** Where texts come from: a list, or a data file. */
export interface TextSource {
  readonly texts?: readonly Text[] | undefined;
  readonly data?: string | undefined;
  /** The text's column; `text` or `sentence` when left out. */
  readonly column?: string | undefined;
  readonly pairColumn?: string | undefined;
  /** The first so many. */
  readonly limit?: number | undefined;
}

/** The texts one by one. Throws `data.*`. */
export async function* textsOf({ texts = [], data, column, pairColumn, limit = Infinity }: TextSource): AsyncGenerator<Text> {
  let count = 0;
  for (const text of texts) if (count++ < limit) yield text;
  if (data === undefined) return;
  for await (const { text, pair } of readTexts(data, { column, pair: pairColumn })) {
    if (count++ >= limit) return;
    yield { text, pair };
  }
}

/** How texts become ids. */
interface Encoding {
  readonly tokenizer: Tokenizer;
  readonly maxLength: number;
  readonly prompt?: Prompt | undefined;
}

function encode({ text, pair }: Text, { tokenizer, maxLength, prompt }: Encoding): Encoded {
  return { ...(prompt === undefined ? tokenizer.encode(text, pair, maxLength) : tokenizer.encode(prompt(text, pair), undefined, maxLength)), label: 0 };
}

/** Texts in groups, encoded, so that a file of any size goes through. */
export async function* encodedGroups(source: TextSource, { size, ...encoding }: Encoding & { readonly size: number }): AsyncGenerator<{ readonly texts: readonly Text[]; readonly examples: readonly Encoded[] }> {
  let texts: Text[] = [];
  const group = (): { texts: readonly Text[]; examples: readonly Encoded[] } => ({ texts, examples: texts.map((text) => encode(text, encoding)) });
  for await (const text of textsOf(source)) {
    texts.push(text);
    if (texts.length < size) continue;
    yield group();
    texts = [];
  }
  if (texts.length > 0) yield group();
}

/** Tokens of a text at most: what is asked for, what the adapter was trained with, or 128; never more than the model has positions for. */
export function maxLengthFor(asked: number | undefined, task: Readonly<Record<string, unknown>> | undefined, config: Readonly<Record<string, unknown>>): number {
  const options = Object.values(task ?? {})[0] as { maxLength?: unknown } | undefined;
  const trained = typeof options?.maxLength === "number" ? options.maxLength : 128;
  const padId = config["model_type"] === "roberta" ? Number(config["pad_token_id"] ?? 1) + 1 : 0;
  const positions = typeof config["max_position_embeddings"] === "number" ? config["max_position_embeddings"] - padId : Infinity;
  return Math.min(asked ?? trained, positions);
}

import { DeftError, type GeneratedText, type TextGeneration, type Tokenizer } from "@deft-js/core";
import { endToken } from "../batching/pairs.ts";

/** How texts are generated and scored. */
export interface TextScoring {
  readonly tokenizer: Tokenizer;
  /** Options of core's `generate`. */
  readonly options: TextGeneration["options"];
  /** Metrics of the texts, row by row in the split's order. */
  score(texts: readonly string[], rows: readonly GeneratedText[]): Readonly<Record<string, number>>;
}

/**
 * What a split says of its generated texts: they end with the tokenizer's end token, as what is learned does; ids are decoded without special tokens, and white
 * space around them goes.
 * @throws DeftError `tokenizer.eos` when there is no end token
 */
export function textGeneration({ tokenizer, options, score }: TextScoring): TextGeneration {
  return { options: { eos: endToken(tokenizer), ...options }, metrics: (rows) => score(rows.map(({ ids }) => decoded(ids, tokenizer)), rows) };
}

/** A text as it can be generated: through the tokenizer, which may change spaces and signs and drop what it does not know. */
export function generable(text: string, tokenizer: Pick<Tokenizer, "ids" | "decode">): string {
  return decoded(tokenizer.ids(text), tokenizer);
}

function decoded(ids: readonly number[], tokenizer: Pick<Tokenizer, "decode">): string {
  return tokenizer.decode(ids).trim();
}

/**
 * The words of classes as they can be generated.
 * @param who whose words, for errors
 * @throws DeftError `task.words` when nothing is left of one, or two become the same
 */
export function generableWords(words: readonly string[], tokenizer: Pick<Tokenizer, "ids" | "decode">, who: string): string[] {
  const written = words.map((word) => generable(word, tokenizer));
  for (const [i, word] of written.entries()) {
    if (word === "") throw new DeftError("task.words", `${who}: words must be made of what the tokenizer knows, got ${JSON.stringify(words[i])}, of which nothing is left. Choose another word.`);
    const same = written.findIndex((other) => other.toLowerCase() === word.toLowerCase());
    if (same < i) throw new DeftError("task.words", `${who}: words must differ as the tokenizer writes them, got ${JSON.stringify(words[same])} and ${JSON.stringify(words[i])}, both ${JSON.stringify(word)}. Choose another word.`);
  }
  return written;
}

/** The index of each text among the words, −1 where it is none of them; case and white space around do not count. */
export function wordIndices(texts: readonly string[], words: readonly string[]): Int32Array {
  const known = new Map(words.map((word, i) => [word.trim().toLowerCase(), i]));
  return Int32Array.from(texts, (text) => known.get(text.trim().toLowerCase()) ?? -1);
}

/**
 * The fraction of texts that equal their reference, runs of white space counting as one space, in [0, 1].
 * @throws DeftError `metric.input` unless there are as many texts as references, and at least one
 */
export function exactMatch(texts: readonly string[], references: readonly string[]): number {
  if (texts.length !== references.length || texts.length === 0)
    throw new DeftError("metric.input", `exact match: needs as many texts as references and at least one, got ${texts.length} and ${references.length}. Evaluate on a split with rows.`);
  const plain = (text: string): string => text.trim().replace(/\s+/g, " ");
  return texts.filter((text, i) => plain(text) === plain(references[i] as string)).length / texts.length;
}

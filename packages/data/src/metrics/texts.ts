import { DeftError, type GeneratedText, type TextGeneration, type Tokenizer } from "@deft-js/core";

/** How texts are generated and scored. */
export interface TextScoring {
  readonly tokenizer: Tokenizer;
  /** Options of core's `generate`. */
  readonly options: TextGeneration["options"];
  /** Metrics of the texts, row by row in the split's order. */
  score(texts: readonly string[], rows: readonly GeneratedText[]): Readonly<Record<string, number>>;
}

/** What a split says of its generated texts: ids are decoded without special tokens, and white space around them goes. */
export function textGeneration({ tokenizer, options, score }: TextScoring): TextGeneration {
  return { options, metrics: (rows) => score(rows.map(({ ids }) => tokenizer.decode(ids).trim()), rows) };
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

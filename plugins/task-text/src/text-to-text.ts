import { DeftError, type Split, type Tokenizer } from "@deft-js/core";
import { accuracy, encodePairs, exactMatch, f1, generable, generableWords, makeSplit, targetIds, textGeneration, wordIndices, type TextPair } from "@deft-js/data";
import { examplesOf } from "./labels.ts";
import type { TextOptions } from "./options.ts";
import type { LabelledRow } from "./rows.ts";

/** Tokens of a generated text when nothing is said. */
const DEFAULT_TARGET_LENGTH = 32;

/** What a split of texts to be generated is made of. */
interface TextSplitOptions {
  readonly name: string;
  readonly rows: readonly LabelledRow[];
  /** The classes; none where a column holds the targets. */
  readonly labels: readonly string[];
  readonly options: TextOptions;
  readonly tokenizer: Tokenizer;
}

/**
 * Rows as text-to-text examples. Metrics are of the generated texts: exact match with the targets as the tokenizer writes them, or of label words accuracy
 * and, for two classes, F1 of the second; a text that is none of the words is wrong.
 * @throws DeftError `task.words` when a class has no word of its own, `tokenizer.eos`, `data.row` for a class that is not among the labels
 */
export function textSplit({ name, rows, labels, options, tokenizer }: TextSplitOptions): Split {
  const { target, maxLength, padToMaxLength, beams = 1 } = options;
  const words = target === undefined ? wordsOf(labels, options) : [];
  const classes = target === undefined ? examplesOf(rows, labels).map(({ label }) => label) : [];
  const pairs = rows.map((row, i): TextPair => ({ input: inputOf(row, options), target: words[classes[i] as number] ?? String(row.label), file: row.file, line: row.line }));
  const maxTargetLength = words.length === 0 ? (options.maxTargetLength ?? DEFAULT_TARGET_LENGTH) : Math.max(...words.map((word) => targetIds(word, { tokenizer, maxTargetLength: Infinity }).length));
  const written = generableWords(words, tokenizer, "text");
  const score = (texts: readonly string[]): Readonly<Record<string, number>> =>
    words.length === 0 ? { exactMatch: exactMatch(texts, pairs.map((pair) => generable(pair.target, tokenizer))) } : wordMetrics(texts, written, classes);
  const generation = textGeneration({ tokenizer, options: { maxNewTokens: maxTargetLength, beams }, score });
  return makeSplit({ name, examples: encodePairs(pairs, { tokenizer, maxLength, maxTargetLength }), padId: tokenizer.padId, generation, padTo: padToMaxLength ? maxLength : undefined });
}

/** The row in the template; both texts with a space between them when there is none. */
export function inputOf({ text, pair }: Pick<LabelledRow, "text" | "pair">, { template = pair === undefined ? "{text}" : "{text} {pair}" }: TextOptions): string {
  return template.replace(/\{(text|pair)\}/g, (_, name) => (name === "text" ? text : (pair ?? "")));
}

function wordsOf(labels: readonly string[], { words = {} }: TextOptions): string[] {
  const unknown = Object.keys(words).find((label) => !labels.includes(label));
  if (unknown !== undefined) throw new DeftError("task.words", `text: words must be of the classes ${labels.join(", ")}, got one for ${unknown}. Leave it out.`);
  return labels.map((label) => {
    if (!Object.hasOwn(words, label)) throw new DeftError("task.words", `text: words must have one for every class, got none for ${label}. Known: ${Object.keys(words).join(", ")}.`);
    return words[label] as string;
  });
}

function wordMetrics(texts: readonly string[], words: readonly string[], targets: readonly number[]): Readonly<Record<string, number>> {
  const predictions = wordIndices(texts, words);
  return { accuracy: accuracy({ predictions, targets }), ...(words.length === 2 ? { f1: f1({ predictions, targets }) } : {}) };
}

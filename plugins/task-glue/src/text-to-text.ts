import type { Split, TaskContext } from "@deft-js/core";
import { encodePairs, generableWords, makeSplit, targetIds, textGeneration, wordIndices, type TextExample, type TextPair } from "@deft-js/data";
import { GLUE, SCORE_RANGE } from "./definitions.ts";
import { metricsOf } from "./metrics.ts";
import type { GlueName, GlueOptions } from "./options.ts";

/** What T5 calls the texts of each task, in the order in which it writes them (Raffel et al., 2020, arXiv:1910.10683, appendix D). */
const TEXT_NAMES: Readonly<Record<GlueName, readonly { readonly name: string; readonly of: "text" | "pair" }[]>> = {
  cola: [{ name: "sentence", of: "text" }],
  sst2: [{ name: "sentence", of: "text" }],
  mrpc: pairOf("sentence1", "sentence2"),
  qqp: pairOf("question1", "question2"),
  stsb: pairOf("sentence1", "sentence2"),
  mnli: [{ name: "hypothesis", of: "pair" }, { name: "premise", of: "text" }],
  qnli: pairOf("question", "sentence"),
  rte: pairOf("sentence1", "sentence2"),
  wnli: pairOf("sentence1", "sentence2"),
};

function pairOf(text: string, pair: string): { name: string; of: "text" | "pair" }[] {
  return [{ name: text, of: "text" }, { name: pair, of: "pair" }];
}

/** A score as T5 writes it: rounded to fifths in float32, halves to the even one, with one decimal. */
function scoreWord(score: number): string {
  const fifths = Math.fround(Math.fround(score) * 5);
  const below = Math.floor(fifths);
  const up = fifths - below > 0.5 || (fifths - below === 0.5 && below % 2 !== 0);
  return ((below + Number(up)) / 5).toFixed(1);
}

/** `sst2 sentence: TEXT`. */
export function glueInput(name: GlueName, text: string, pair = ""): string {
  const texts = { text, pair };
  return `${name} ${TEXT_NAMES[name].map((part) => `${part.name}: ${texts[part.of]}`).join(" ")}`;
}

/** `sst2 sentence: TEXT` → `positive`: an example as T5's multi-task mixture writes it; classes by their names, scores in steps of 0.2. */
export function glueTextPair(name: GlueName, { text, pair, label, file, line }: TextExample): TextPair {
  return { input: glueInput(name, text, pair), target: GLUE[name].labels[label] ?? scoreWord(label), file, line };
}

/** A split of text-to-text examples; metrics are of the generated words, of which one that names no class is wrong. */
export function textSplit(split: string, examples: readonly TextExample[], { name, maxLength, padToMaxLength }: GlueOptions, { tokenizer }: TaskContext): Split {
  const { labels: words } = GLUE[name];
  const longest = words.length === 0 ? [scoreWord(SCORE_RANGE.high)] : words;
  const maxTargetLength = Math.max(...longest.map((word) => targetIds(word, { tokenizer, maxTargetLength: Infinity }).length));
  const written = generableWords(words, tokenizer, "glue");
  const targets = Float32Array.from(examples, ({ label }) => label);
  return makeSplit({
    name: split,
    examples: encodePairs(examples.map((example) => glueTextPair(name, example)), { tokenizer, maxLength, maxTargetLength }),
    padId: tokenizer.padId,
    padTo: padToMaxLength ? maxLength : undefined,
    generation: textGeneration({
      tokenizer,
      options: { maxNewTokens: maxTargetLength },
      score: (texts) => metricsOf(name, { predictions: words.length === 0 ? scoresOf(texts) : wordIndices(texts, written), targets }),
    }),
  });
}

/** The scores that texts name; −1 for a text that is no number of the range. */
function scoresOf(texts: readonly string[]): Float32Array {
  return Float32Array.from(texts, (text) => {
    const score = text === "" ? NaN : Number(text);
    return score >= SCORE_RANGE.low && score <= SCORE_RANGE.high ? score : -1;
  });
}

/** What Python's `str.split` takes for white space: Unicode's, and the separators of files, groups, records and units. */
const SPACES = /[\p{White_Space}\u001c-\u001f]+/u;

/**
 * A text as the official evaluation compares it: lower case, without ASCII punctuation, without the articles a, an, the, white space single.
 * Source: `normalize_answer` of SQuAD's evaluate-v2.0.py.
 */
export function normalizedAnswer(text: string): string {
  const plain = text.toLowerCase().replace(/[!-/:-@[-`{-~]/g, "");
  return plain.replace(/(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu, " ").split(SPACES).filter((word) => word !== "").join(" ");
}

/** 1 where the texts are equal once normalised, else 0. */
export function exactAnswer(predicted: string, right: string): number {
  return Number(normalizedAnswer(predicted) === normalizedAnswer(right));
}

/**
 * F1 of the words that two texts share, once normalised: 2·P·R/(P + R) with P = shared/predicted and R = shared/right, words counted as often as
 * they stand; where one has no word, 1 if neither has. Source: `compute_f1` of evaluate-v2.0.py.
 */
export function answerF1(predicted: string, right: string): number {
  const [given, wanted] = [predicted, right].map((text) => normalizedAnswer(text).split(" ").filter((word) => word !== "")) as [string[], string[]];
  if (given.length === 0 || wanted.length === 0) return Number(given.length === wanted.length);
  const left = new Map<string, number>();
  for (const word of wanted) left.set(word, (left.get(word) ?? 0) + 1);
  let shared = 0;
  for (const word of given) {
    const count = left.get(word) ?? 0;
    if (count > 0) shared++;
    left.set(word, count - 1);
  }
  return shared === 0 ? 0 : (2 * shared) / (given.length + wanted.length);
}

/** One question's answer beside its right ones. */
export interface Answered {
  readonly predicted: string;
  /** Right answers; none where the question has no answer. */
  readonly right: readonly string[];
}

/**
 * F1 and exact match over questions, the best over each one's right answers; a question without answer is right with an empty text. Where there are
 * such questions both also stand for the two kinds apart. As fractions; F1 first.
 */
export function squadMetrics(questions: readonly Answered[]): Readonly<Record<string, number>> {
  const scored = questions.map(({ predicted, right }) => {
    const gold = right.filter((text) => normalizedAnswer(text) !== "");
    const best = (measure: (a: string, b: string) => number): number => Math.max(...(gold.length === 0 ? [""] : gold).map((text) => measure(predicted, text)));
    return { answered: right.length > 0, f1: best(answerF1), exact: best(exactAnswer) };
  });
  const mean = (key: "f1" | "exact", kind?: boolean): number => {
    const chosen = scored.filter(({ answered }) => kind === undefined || answered === kind);
    return chosen.length === 0 ? 0 : chosen.reduce((sum, one) => sum + one[key], 0) / chosen.length;
  };
  const both = { f1: mean("f1"), exactMatch: mean("exact") };
  if (scored.every(({ answered }) => answered)) return both;
  return { ...both, hasAnswerF1: mean("f1", true), hasAnswerExactMatch: mean("exact", true), noAnswerF1: mean("f1", false), noAnswerExactMatch: mean("exact", false) };
}

import { DeftError, ops, type GeneratedText, type OpenTask, type Split, type Task, type TaskContext } from "@deft-js/core";
import { makeSplit, textGeneration } from "@deft-js/data";
import { squadMetrics, normalizedAnswer } from "./answers.ts";
import { squadOptions, type SquadOptions, type SquadSettings } from "./options.ts";
import { readArticles, type Article, type Question } from "./questions.ts";
import { windowsOf, type Window } from "./windows.ts";

/** The share of the articles that is held out when neither a file nor a fraction is given. */
const DEFAULT_FRACTION = 0.1;

/**
 * SQuAD 1.1 or 2.0 as text-to-text: `question: Q context: C` → the answer, or nothing where the context does not answer (Raffel et al., 2020,
 * arXiv:1910.10683; Rajpurkar et al., 2018, arXiv:1806.03822).
 * @throws DeftError `options.invalid`; on opening `data.file`, `data.row`, `task.empty`, `task.articles`, `task.stride`, `tokenizer.eos`
 */
export function squad(settings: SquadSettings): Task {
  const options = squadOptions(settings);
  const input = (question: string, context?: string): string => (context === undefined ? question : `question: ${question} context: ${context}`);
  return { id: "squad", options, head: "language-model", input, open: (context) => openSquad(options, context) };
}

async function openSquad(options: SquadOptions, { tokenizer }: TaskContext): Promise<OpenTask> {
  const read = await readArticles(options.train);
  const { train, dev } = options.evaluation === undefined ? heldOut(read, options) : { train: read, dev: await readArticles(options.evaluation) };
  const [questions, asked] = [train.flat().slice(0, options.maxTrain), dev.flat().slice(0, options.maxEvaluation)];
  const unanswerable = questions.some(({ answers }) => answers.length === 0);
  const windows = windowsOf(questions, tokenizer, options);
  const trained = unanswerable ? windows : windows.filter(({ holdsAnswer }) => holdsAnswer);
  const split = (name: string, chosen: readonly Window[], of: readonly Question[]): Split =>
    makeSplit({
      name,
      examples: chosen.map(({ inputIds, label }) => ({ inputIds, label })),
      padId: tokenizer.padId,
      generation: textGeneration({
        tokenizer,
        options: { maxNewTokens: options.maxAnswerLength, beams: options.beams, scores: true },
        score: (texts, rows) => squadMetrics(bestAnswers(chosen, of, texts, rows)),
      }),
    });
  return { train: split("train", trained, questions), evaluation: [split("dev", windowsOf(asked, tokenizer, options), asked)], labels: [] };
}

/** Holds out round(fraction·n) articles, at least one, drawn by the seed, so that no text is in both parts; both stay in file order. */
function heldOut(articles: readonly Article[], { train, evaluationFraction = DEFAULT_FRACTION, seed }: SquadOptions): { train: Article[]; dev: Article[] } {
  if (articles.length < 2) throw new DeftError("task.articles", `squad: ${train} must hold two articles to hold one out, got ${articles.length}. Name an evaluation file.`);
  const count = Math.min(articles.length - 1, Math.max(1, Math.round(evaluationFraction * articles.length)));
  const held = new Set(new ops.Rng(seed).permutation(articles.length).subarray(0, count));
  return { train: articles.filter((_, i) => !held.has(i)), dev: articles.filter((_, i) => held.has(i)) };
}

/** Each question's likeliest answer over its windows; empty only when every window says so: a window without the answer is sure of that. */
function bestAnswers(windows: readonly Window[], questions: readonly Question[], texts: readonly string[], rows: readonly GeneratedText[]): { predicted: string; right: string[] }[] {
  const best = new Map<number, { text: string; score: number }>();
  for (const [i, { question }] of windows.entries()) {
    const [text = "", score = 0] = [texts[i], rows[i]?.score];
    const known = best.get(question);
    if (normalizedAnswer(text) !== "" && (known === undefined || score > known.score)) best.set(question, { text, score });
  }
  const seen = new Set(windows.map(({ question }) => question));
  return questions.flatMap(({ answers }, i) => (seen.has(i) ? [{ predicted: best.get(i)?.text ?? "", right: answers.map(({ text }) => text) }] : []));
}

import { DeftError, ops, type OpenTask, type Predictions, type Split, type Task, type TaskContext } from "@deft-js/core";
import { accuracy, argmaxRows, encodeTexts, f1, makeSplit, pearson, spearman } from "@deft-js/data";
import { examplesOf, foundLabels } from "./labels.ts";
import { textOptions, type TextOptions, type TextSettings } from "./options.ts";
import { inputOf, textSplit } from "./text-to-text.ts";
import { readLabelledRows, type LabelledRow } from "./rows.ts";

/** The part that is held out when neither a file nor a fraction is given. */
const DEFAULT_FRACTION = 0.1;

/**
 * The user's own texts, from a file with a text column, or two, and a label column: classification or regression; or text-to-text for language
 * models, with a target column or a word for each label.
 * @throws DeftError `options.invalid`; on opening `task.empty`, `task.labels`, `task.words`, `data.row`, `data.column`, `data.file`, `data.format`
 */
export function text(settings: TextSettings): Task {
  const options = textOptions(settings);
  return {
    id: "text",
    options,
    head: generates(options) ? "language-model" : "sequence-classification",
    open: (context) => openText(options, context),
    ...(generates(options) ? { input: (text: string, pair?: string) => inputOf({ text, pair }, options) } : { metrics: (predictions: Predictions) => textMetrics(options, predictions) }),
  };
}

const generates = ({ target, words }: TextOptions): boolean => target !== undefined || words !== undefined;

async function openText(options: TextOptions, { tokenizer }: TaskContext): Promise<OpenTask> {
  const read = await readLabelledRows(options.train, options);
  if (read.length === 0) throw new DeftError("task.empty", `text: ${options.train} must hold rows, got none. Check the file.`);
  const labels = options.regression || options.target !== undefined ? [] : (options.labels?.map(String) ?? foundLabels(read, options.train));
  const whole = options.evaluation === undefined ? heldOut(read, options) : { train: read, dev: await readLabelledRows(options.evaluation, options) };
  const rows = { train: whole.train.slice(0, options.maxTrain), dev: whole.dev.slice(0, options.maxEvaluation) };
  if (generates(options)) {
    const split = (name: string, of: readonly LabelledRow[]): Split => textSplit({ name, rows: of, labels, options, tokenizer });
    return { train: split("train", rows.train), evaluation: [split("dev", rows.dev)], labels: [] };
  }
  const split = (name: string, of: readonly LabelledRow[]): Split =>
    makeSplit({
      name,
      examples: encodeTexts(examplesOf(of, labels), { tokenizer, maxLength: options.maxLength }),
      padId: tokenizer.padId,
      target: options.regression ? "score" : "class",
      padTo: options.padToMaxLength ? options.maxLength : undefined,
    });
  return { train: split("train", rows.train), evaluation: [split("dev", rows.dev)], labels };
}

/** Holds out round(fraction·n) rows, at least one, drawn by the seed; both parts stay in file order. */
function heldOut(rows: readonly LabelledRow[], { evaluationFraction = DEFAULT_FRACTION, seed }: TextOptions): { train: LabelledRow[]; dev: LabelledRow[] } {
  const count = Math.max(1, Math.round(evaluationFraction * rows.length));
  const held = new Set(new ops.Rng(seed).permutation(rows.length).subarray(0, count));
  return { train: rows.filter((_, i) => !held.has(i)), dev: rows.filter((_, i) => held.has(i)) };
}

/** Accuracy, and F1 of the second of two classes; Pearson and Spearman of a regression. */
function textMetrics({ regression }: TextOptions, { logits, width, labels: targets }: Predictions): Readonly<Record<string, number>> {
  if (regression !== (width === 1)) throw new DeftError("task.width", `text: the model must give ${regression ? "one logit" : "a logit for every class"} a row, got ${width}. Load it with a head of as many labels.`);
  if (regression) return { pearson: pearson({ predictions: logits, targets }), spearman: spearman({ predictions: logits, targets }) };
  const predictions = argmaxRows(logits, width);
  return { accuracy: accuracy({ predictions, targets }), ...(width === 2 ? { f1: f1({ predictions, targets }) } : {}) };
}

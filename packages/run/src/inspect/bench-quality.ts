import { DeftError, formOf, generate, predict, TASK, type Artifact, type HostBatch, type Kernel, type OpenTask, type Split, type Task } from "@deft-js/core";
import { Rng } from "@deft-js/tensor";
import { parse } from "yaml";
import { chosen, type Choice } from "../recipe/choice.ts";
import { demandHead, demandLabelOrder } from "../stages/task.ts";

/** The task that variants are measured on. */
export interface BenchTask {
  /** The task as a recipe says it: `{ glue: { name: sst2, path: … } }`. */
  readonly task: Choice;
  /** Rows of the evaluation split at most. */
  readonly limit?: number | undefined;
}

/** What a variant predicts of a split's rows, and how well. */
export interface Quality {
  readonly split: string;
  readonly rows: number;
  /** The task's first metric. */
  readonly metric: string;
  /** As a fraction. */
  readonly value: number;
  /** By row: the class, the score of a regression, or the ids that were generated. */
  readonly predictions: readonly (number | readonly number[])[];
  /** Row-major, [rows, width]; absent where texts are generated. */
  readonly logits?: readonly number[] | undefined;
}

/**
 * The task that a text names: `adapter`, the one that the adapter was trained on; `ID:NAME:PATH` as in `glue:sst2:./data`, `ID:PATH` as in `squad:./train.json`; or as in recipes, in YAML:
 * `{ glue: { name: sst2, path: ./data } }`.
 * @param trained the adapter's, where its folder tells
 * @throws DeftError `options.invalid`
 */
export function namedTask(text: string, trained: Choice | undefined): Choice {
  if (text === "adapter") {
    if (trained !== undefined) return trained;
    throw new DeftError("options.invalid", "bench: task adapter needs an adapter whose folder tells its task, got none. Name the task, e.g. glue:sst2:./data.");
  }
  const [id = "", ...rest] = text.split(":");
  const isShort = /^[\w-]+$/.test(id) && rest.length > 0 && !/^\s/.test(rest[0] ?? "");
  if (isShort) return { [id]: rest.length === 1 ? { train: rest[0] } : { name: rest[0], path: rest.slice(1).join(":") } };
  const made = yaml(text);
  if (typeof made === "object" && made !== null && !Array.isArray(made) && Object.keys(made).length === 1) return made as Choice;
  throw new DeftError("options.invalid", `bench: task must be adapter, ID:NAME:PATH, ID:PATH or { ID: options }, got ${JSON.stringify(text)}. Write e.g. glue:sst2:./data.`);
}

function yaml(text: string): unknown {
  try {
    return parse(text, { maxAliasCount: 0, logLevel: "error" }) as unknown;
  } catch {
    return undefined;
  }
}

/** Training rows that are read for calibration at most, where the task has an option for it. */
const CALIBRATION_ROWS = 2048;

/** Makes the task with its limits; an option that the task itself gives stands. Throws `options.*`, `plugin.unknown`. */
export function benchTask(kernel: Kernel, { task, limit }: BenchTask): Task {
  const [id, given] = chosen(task);
  const options = { ...(given as Readonly<Record<string, unknown>> | undefined) };
  const schema = kernel.contributions(TASK).find((contribution) => contribution.id === id)?.options;
  const takes = (extra: object): boolean => schema?.safeParse({ ...options, ...extra }).success === true;
  const train = { maxTrain: CALIBRATION_ROWS };
  if (options["maxTrain"] === undefined && takes(train)) Object.assign(options, train);
  if (limit !== undefined && takes({}) && !takes({ maxEvaluation: limit })) throw new DeftError("options.invalid", `bench: a limit needs a task with the option maxEvaluation, got ${id}. Leave it out, or name data with fewer rows.`);
  if (limit !== undefined) Object.assign(options, { maxEvaluation: limit });
  return kernel.create(TASK, id, options);
}

/** Opens it for a model. Throws `model.head` when the model's head does not answer the task, `evaluation.labels` when it has its classes in another order. */
export async function openBenchTask(task: Task, artifact: Artifact): Promise<OpenTask & { readonly first: Split }> {
  demandHead("bench", artifact.model, task);
  const open = await task.open({ tokenizer: artifact.tokenizer, rng: new Rng(1).fork("task") });
  demandLabelOrder("bench", artifact, open);
  const [first] = open.evaluation;
  if (first === undefined) throw new DeftError("evaluate.split", `bench: ${task.id} must have an evaluation split, got none. Name data to evaluate on.`);
  return { ...open, first };
}

/** Predicts a split's rows and takes the task's first metric. Throws what evaluation throws. */
export async function measureQuality({ model }: Artifact, task: Task, split: Split): Promise<Quality> {
  const { generation } = split;
  const firstOf = (metrics: Readonly<Record<string, number>>): Pick<Quality, "metric" | "value"> => {
    const [[metric, value] = ["", NaN]] = Object.entries(metrics);
    return { metric, value };
  };
  if (generation !== undefined) {
    const rows: { ids: readonly number[]; score?: number | undefined }[] = [];
    for (const batch of split.batches({ batchSize: BATCH, form: formOf(model) === "causal" ? "prompts" : "pairs" })) {
      const { ids, scores = [] } = await generate(model, batch, generation.options);
      for (const [i, row] of ids.entries()) rows.push({ ids: row, score: scores[i] });
    }
    return { split: split.name, rows: rows.length, ...firstOf(generation.metrics(rows)), predictions: rows.map(({ ids }) => ids) };
  }
  if (task.metrics === undefined) throw new DeftError("evaluate.task", `bench: ${task.id} must have metrics, got a task without. Take another.`);
  const predictions = await predict({ model, split, batchSize: BATCH });
  const { logits, width } = predictions;
  const rows = logits.length / Math.max(1, width);
  const classes = Array.from({ length: rows }, (_, row) => (width === 1 ? (logits[row] as number) : argmax(logits.subarray(row * width, (row + 1) * width))));
  return { split: split.name, rows, ...firstOf(task.metrics(predictions)), predictions: classes, logits: [...logits] };
}

const BATCH = 32;

function argmax(values: Float32Array): number {
  return values.reduce((best, value, i) => (value > (values[best] as number) ? i : best), 0);
}

/** How a variant's predictions differ from the dense ones. */
export function comparedQuality(one: Quality, dense: Quality): { readonly changed: number; readonly largestDifference?: number } {
  const changed = one.predictions.filter((prediction, row) => JSON.stringify(prediction) !== JSON.stringify(dense.predictions[row])).length;
  const [a, b] = [one.logits, dense.logits];
  return a === undefined || b === undefined ? { changed } : { changed, largestDifference: a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? NaN))), 0) };
}

/** Real text for the clock: the split's tokens one after another, without padding, in rows of one length; begun again where it ends. */
export function rowsOf(split: Split, { size, seq, labelSeq }: { readonly size: number; readonly seq: number; readonly labelSeq?: number | undefined }): HostBatch {
  const inputIds = new Int32Array(size * seq);
  const labels = new Int32Array(labelSeq === undefined ? 0 : size * labelSeq);
  let [ids, label] = [0, 0];
  while (ids < inputIds.length || label < labels.length) {
    const before = ids + label;
    for (const host of split.batches({ batchSize: 1 })) {
      for (const [i, id] of host.inputIds.entries()) if (host.attentionMask[i] === 1 && ids < inputIds.length) inputIds[ids++] = id;
      for (const id of host.labels ?? []) if (host.labelSeq !== undefined && id >= 0 && label < labels.length) labels[label++] = id;
      if (ids === inputIds.length && label === labels.length) break;
    }
    if (ids + label === before) throw new DeftError("task.empty", `bench: ${split.name} must hold ${labels.length > 0 ? "texts with labels of tokens" : "texts"}, got none. Check the data.`);
  }
  const batch = { size, seq, inputIds, attentionMask: new Float32Array(size * seq).fill(1) };
  return labelSeq === undefined ? batch : { ...batch, labels, labelSeq };
}

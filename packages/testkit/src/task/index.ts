import { isDeepStrictEqual } from "node:util";
import { ops, type OpenTask, type Predictions, type Split, type Task, type TaskContext } from "@deft-js/core";
import { demand, type Check } from "../check.ts";
import { rowAlone } from "../padded.ts";
import { demandBatch, rowKey } from "./batch.ts";

/** What the suite for tasks is run on. */
export interface TaskSubject {
  task(): Task;
  context(): TaskContext;
  /** Rows of a batch; choose one that does not divide the splits' sizes. */
  readonly batchSize?: number;
}

/** The contract of `Task` as checks; run each with the tests' own `it`. */
export function taskChecks(subject: TaskSubject): readonly Check[] {
  return [
    { name: "is described by plain JSON", run: () => demandJson(subject) },
    { name: "opens splits with rows under names of their own", run: () => demandSplits(subject) },
    { name: "opens the same rows from the same seed", run: () => demandSeeded(subject) },
    { name: "delivers every row once, well formed", run: () => demandRows(subject) },
    { name: "delivers the same row in batches of any size", run: () => demandSingles(subject) },
    { name: "shuffles by the generator alone", run: () => demandOrder(subject) },
    { name: "skips batches as if they had been read", run: () => demandSkip(subject) },
    { name: "labels within its classes", run: () => demandLabels(subject) },
    { name: "scores perfect predictions with 1 and others with less", run: () => demandMetrics(subject) },
  ];
}

function demandJson({ task }: TaskSubject): void {
  const { id, options } = task();
  demand(id.length > 0, "task: must have an id, got none");
  demand(isDeepStrictEqual(JSON.parse(JSON.stringify(options)), options), `${id}: options must be plain JSON, got ${JSON.stringify(options)} back`);
}

function open({ task, context }: TaskSubject): Promise<OpenTask> {
  return task().open(context());
}

async function splits(subject: TaskSubject): Promise<readonly Split[]> {
  const { train, evaluation } = await open(subject);
  return [train, ...evaluation];
}

async function demandSplits(subject: TaskSubject): Promise<void> {
  const { evaluation } = await open(subject);
  demand(evaluation.length > 0, "open: must give a split to evaluate on, got none");
  const names = evaluation.map(({ name }) => name);
  demand(new Set(names).size === names.length, `open: evaluation splits must have names of their own, got ${names.join(", ")}`);
  for (const { name, size } of await splits(subject)) demand(size > 0, `split ${name}: must have rows, got none`);
}

/** Nothing is drawn but from the context's generator, and splits are read in the same order every time. */
async function demandSeeded(subject: TaskSubject): Promise<void> {
  const rows = async (): Promise<string> => (await splits(subject)).map((split) => [...split.batches({ batchSize: 1 })].map(rowKey).join("|")).join("/");
  const first = await rows();
  for (let again = 0; again < 3; again++) demand((await rows()) === first, "open: the same seed must give the same rows in the same order, got others");
}

async function demandRows(subject: TaskSubject): Promise<void> {
  const batchSize = subject.batchSize ?? 3;
  const { tokenizer } = subject.context();
  for (const split of await splits(subject))
    for (const form of formsOf(split)) {
      const batches = [...split.batches({ batchSize, form })];
      const rows = batches.reduce((n, batch) => n + batch.size, 0);
      demand(rows === split.size, `split ${split.name}: must deliver ${split.size} rows, got ${rows}`);
      for (const batch of batches) demandBatch(split.name, batch, { batchSize, tokenizer });
    }
}

async function demandSingles(subject: TaskSubject): Promise<void> {
  if (subject.task().head === "masked-language-model") return; // what is masked may be drawn batch by batch
  const batchSize = subject.batchSize ?? 3;
  for (const split of await splits(subject))
    for (const form of formsOf(split)) {
      const keys = (size: number): string[] => [...split.batches({ batchSize: size, form })].flatMap((batch) => Array.from({ length: batch.size }, (_, row) => rowKey(rowAlone(batch, row))));
      const [alone, together] = [keys(1), keys(batchSize)];
      const other = alone.findIndex((key, row) => key !== together[row]);
      demand(other < 0, `split ${split.name}: a row must be the same alone and among ${batchSize} but for padding, got another row ${other}`);
    }
}

/** The forms that a split has: more than the plain one where texts are generated. */
function formsOf({ generation }: Split): readonly ("pairs" | "causal" | "prompts" | undefined)[] {
  return generation === undefined ? [undefined] : ["pairs", "causal", "prompts"];
}

async function demandOrder(subject: TaskSubject): Promise<void> {
  const { train } = await open(subject);
  const order = (seed?: number): string => [...train.batches({ batchSize: 1, order: seed === undefined ? undefined : new ops.Rng(seed) })].map(rowKey).join("|");
  demand(order() === order(), "batches: must be in the same order every time, got another");
  demand(order(1) === order(1), "batches: the same seed must give the same order, got another");
  demand([1, 2, 3].some((seed) => order(seed) !== order()), "batches: a generator must shuffle, got the file's order for three seeds");
  demand(order(1).split("|").sort().join("|") === order().split("|").sort().join("|"), "batches: shuffling must keep the rows, got others");
}

async function demandSkip(subject: TaskSubject): Promise<void> {
  const { train } = await open(subject);
  for (const bucket of [false, true]) {
    const keys = (skip: number): string[] => [...train.batches({ batchSize: Math.min(subject.batchSize ?? 3, Math.ceil(train.size / 2)), order: new ops.Rng(1), skip, bucket })].map(rowKey);
    demand(keys(1).join("|") === keys(0).slice(1).join("|"), `batches: skip 1 must leave out the first batch alone, got other batches${bucket ? " with buckets" : ""}`);
  }
}

async function demandLabels(subject: TaskSubject): Promise<void> {
  const { train, evaluation, labels: classes } = await open(subject);
  demand(new Set(classes).size === classes.length, `open: the classes must have names of their own, got ${classes.join(", ")}`);
  for (const split of [train, ...evaluation])
    for (const { size, labels, scores, labelSeq } of split.batches({ batchSize: subject.batchSize ?? 3 })) {
      demand(labels !== undefined || scores !== undefined, `split ${split.name}: a batch must carry labels or scores, got neither`);
      demand(scores === undefined || scores.length === size, `split ${split.name}: scores must hold ${size} values, got ${scores?.length}`);
      demand(labels === undefined || labels.length === size * (labelSeq ?? 1), `split ${split.name}: labels must hold ${size * (labelSeq ?? 1)} values, got ${labels?.length}`);
      const outside = labelSeq === undefined ? labels?.find((label) => label < 0 || label >= classes.length) : undefined;
      demand(outside === undefined, `split ${split.name}: labels must lie in 0 to ${classes.length - 1}, got ${outside}`);
    }
}

/** For classification and regression by logits; of texts, each row's own label ids must score best. */
async function demandMetrics(subject: TaskSubject): Promise<void> {
  const task = subject.task();
  const { evaluation, labels: classes } = await open(subject);
  const [first] = evaluation as [Split];
  if (task.metrics === undefined) return demandTextMetrics(first, subject.batchSize ?? 3);
  if (task.head === "masked-language-model") return;
  const batches = [...first.batches({ batchSize: subject.batchSize ?? 3 })];
  const targets = Float32Array.from(batches.flatMap(({ labels, scores }) => [...(labels ?? scores ?? [])]));
  const width = Math.max(1, classes.length);
  const perfect = predictions(targets, width, (target, c) => (width === 1 ? target : Number(target === c)));
  const wrong = predictions(targets, width, (target, c) => (width === 1 ? -target : Number((target + 1) % width === c)));
  const [name, best] = Object.entries(task.metrics(perfect))[0] ?? ["none", NaN];
  demand(Math.abs(best - 1) < 1e-6, `metrics: ${name} of perfect predictions must be 1, got ${best}`);
  const worst = Object.values(task.metrics(wrong))[0] as number;
  demand(Number.isFinite(worst) && worst < best, `metrics: ${name} of wrong predictions must be finite and below 1, got ${worst}`);
}

/** Metrics of generated texts: 1 when every row's label ids are generated, less when nothing is. */
function demandTextMetrics(split: Split, batchSize: number): void {
  demand(split.generation !== undefined, `split ${split.name}: must say how texts are generated where the task has no metrics of logits, got nothing`);
  const labelled = [...split.batches({ batchSize })].flatMap(({ size, labels = new Int32Array(), labelSeq = 0 }) => Array.from({ length: size }, (_, row) => [...labels.subarray(row * labelSeq, (row + 1) * labelSeq)].filter((id) => id !== -100)));
  demand(labelled.length === split.size && labelled.every(({ length }) => length > 0), `split ${split.name}: every row must have label ids, got a row without`);
  const prompts = [...split.batches({ batchSize, form: "prompts" })];
  demand(prompts.every(({ size, seq, attentionMask }) => Array.from({ length: size }, (_, row) => attentionMask[(row + 1) * seq - 1]).every((m) => m === 1)), `split ${split.name}: prompts must be padded on the left, got padding at an end`);
  for (const { size, seq, labels, labelSeq } of split.batches({ batchSize, form: "causal" }))
    demand(labelSeq === seq && labels?.length === size * seq, `split ${split.name}: causal batches must have a label for every position, got ${labels?.length} for ${size}·${seq}`);
  const score = (ids: readonly (readonly number[])[]): [string, number] => Object.entries(split.generation?.metrics(ids.map((row) => ({ ids: row, score: 0 }))) ?? {})[0] ?? ["none", NaN];
  const [name, best] = score(labelled);
  demand(Math.abs(best - 1) < 1e-6, `metrics: ${name} of the rows' own texts must be 1, got ${best}`);
  const [, worst] = score(labelled.map(() => []));
  demand(Number.isFinite(worst) && worst < best, `metrics: ${name} of empty texts must be finite and below 1, got ${worst}`);
}

function predictions(labels: Float32Array, width: number, logit: (target: number, c: number) => number): Predictions {
  return { labels, width, logits: Float32Array.from({ length: labels.length * width }, (_, i) => logit(labels[Math.floor(i / width)] as number, i % width)) };
}

import { DeftError, readAsync, scope, type Tensor } from "@deft-js/tensor";
import type { HostBatch } from "../contracts/batch.ts";
import type { Meter } from "../contracts/meter.ts";
import type { Model, Taps } from "../contracts/model.ts";
import type { Predictions, Split, Task } from "../contracts/task.ts";
import type { EvaluationCompleted, RunEvent } from "../events/events.ts";
import { batchTensors } from "./batch-tensors.ts";
import { breathe } from "./breathe.ts";
import { formOf, generateRows } from "./generated.ts";
import { unionTaps } from "./objective.ts";
import { checkMeters } from "./options.ts";
import { countedLabels, PredictionRows } from "./predictions.ts";

/** Options of `predict`. */
export interface PredictOptions {
  readonly model: Model;
  readonly split: Split;
  /** 32 by default. */
  readonly batchSize?: number | undefined;
}

/** Options of `evaluate`. */
export interface EvaluateOptions extends PredictOptions {
  /** The task's metrics of the predictions; left out, the mean loss alone is computed and no logits are gathered. A split with `generation` has its own. */
  readonly metrics?: Task["metrics"] | undefined;
  readonly meters?: readonly Meter[] | undefined;
  /** Names of the classes, empty for a regression: checked against the model's logits. */
  readonly labels?: readonly string[] | undefined;
  /** Where the event goes. */
  readonly stream?: { emit(event: RunEvent): void } | undefined;
  /** Optimizer steps done, for the event. */
  readonly step?: number | undefined;
}

interface Pass {
  readonly model: Model;
  readonly split: Split;
  readonly batchSize?: number | undefined;
  readonly meters: readonly Meter[];
  readonly labels?: readonly string[] | undefined;
  readonly wants: { readonly logits: boolean; readonly loss: boolean };
  visit(host: HostBatch, logits: Float32Array, shape: readonly number[], measured: { readonly loss: number; readonly counted: number }): void;
}

/**
 * Logits and labels of a split in its order, evaluation mode, no tape.
 * @throws DeftError `evaluation.nonfinite` when a logit is NaN or infinite, `evaluation.empty` when the split has no rows
 */
export async function predict({ model, split, batchSize }: PredictOptions): Promise<Predictions> {
  const rows = new PredictionRows();
  await pass({ model, split, batchSize, meters: [], wants: { logits: true, loss: false }, visit: (host, logits, shape) => rows.add(host, logits, shape) });
  return rows.predictions();
}

/**
 * Metrics and meter reports over a split in evaluation mode, no tape. `metrics.loss` is the model's loss, the mean over examples
 * (over counted tokens for language models), unless the task's metrics have one of that name. Where the split's rows are answered with
 * texts, its metrics are of what is generated; loss and meters are of the teacher-forced pass, as in the reference.
 * @throws DeftError `evaluation.nonfinite`, `evaluation.empty`, `evaluation.meters` for two of one id, `evaluation.labels` when the head does not fit the classes,
 * `evaluation.metrics` when metrics of logits are asked of a `language-model` head, whose predictions are generated texts
 */
export async function evaluate(options: EvaluateOptions): Promise<EvaluationCompleted> {
  const { model, split, batchSize = 32, meters = [], labels, stream, step = 0 } = options;
  const { generation } = split;
  const metrics = generation === undefined ? options.metrics : undefined;
  if (metrics !== undefined && model.head === "language-model")
    throw new DeftError("evaluation.metrics", "evaluate: metrics must be of a classification or masked-language-model head, got language-model. Leave metrics out and read the loss.");
  checkMeters(meters);
  const rows = new PredictionRows();
  const sum = { loss: 0, counted: 0, examples: 0 };
  for (const meter of meters) meter.reset();
  const visit: Pass["visit"] = (host, logits, shape, { loss, counted }) => {
    sum.examples += host.size;
    sum.counted += counted;
    if (counted > 0) sum.loss += loss * counted;
    if (metrics === undefined) return;
    rows.add(host, logits, shape);
  };
  await pass({ model, split, batchSize, meters, labels: metrics && labels, wants: { logits: metrics !== undefined, loss: true }, visit });
  const measured = generation?.metrics(await generateRows(model, split, generation, batchSize)) ?? metrics?.(rows.predictions()) ?? {};
  const event: EvaluationCompleted = {
    type: "evaluation.completed", time: Date.now(), step, split: split.name, examples: sum.examples,
    metrics: { ...measured, loss: measured["loss"] ?? sum.loss / sum.counted },
    reports: Object.fromEntries(meters.map((meter) => [meter.id, structuredClone(meter.report())])),
  };
  stream?.emit(event);
  return event;
}

async function pass(options: Pass): Promise<void> {
  const { model, meters } = options;
  const undo: (undefined | (() => void))[] = [];
  try {
    for (const meter of meters) undo.push(meter.begin?.(model));
    await passes(options, unionTaps(meters.map((meter) => meter.taps)));
  } finally {
    for (const end of undo) end?.();
  }
}

async function passes({ model, split, batchSize = 32, meters, labels, wants, visit }: Pass, taps: Taps): Promise<void> {
  let row = 0;
  const form = formOf(model);
  for (const host of split.batches({ batchSize, form })) {
    const [logits, loss] = scope(() => {
      const batch = batchTensors(host);
      const forward = model.forward(batch, taps);
      checkWidth(forward.logits.shape, labels); // before the loss, which would refuse the labels one by one
      for (const meter of meters) meter.add(forward);
      return wants.loss ? [forward.logits, model.loss(forward, batch)] : [forward.logits];
    }) as [Tensor, Tensor?];
    try {
      const values = wants.logits ? await readAsync(logits) : new Float32Array();
      const mean = loss === undefined ? 0 : ((await readAsync(loss))[0] ?? NaN);
      const counted = countedLabels(host, form !== "causal" || (logits.shape[1] ?? 0) > (host.labelSeq ?? 0));
      checkFinite(split, row, values, counted === 0 ? 0 : mean);
      visit(host, values, logits.shape, { loss: mean, counted });
    } finally {
      logits.dispose();
      loss?.dispose();
    }
    row += host.size;
    await breathe();
  }
  if (row === 0) throw new DeftError("evaluation.empty", `evaluate: split ${split.name} must have rows, got none. Check the data.`);
}

function checkFinite(split: Split, row: number, logits: Float32Array, loss: number): void {
  if (Number.isFinite(loss) && logits.every(Number.isFinite)) return;
  throw new DeftError("evaluation.nonfinite", `evaluate: logits and loss must be finite, got NaN or infinity in split ${split.name}, in the batch from row ${row}. Check the model's weights for NaN.`);
}

function checkWidth(shape: readonly number[], labels: readonly string[] | undefined): void {
  const width = shape.at(-1) ?? 0;
  if (labels === undefined || shape.length !== 2 || width === Math.max(1, labels.length)) return;
  throw new DeftError("evaluation.labels", `evaluate: the head must give ${Math.max(1, labels.length)} logits for the task's classes, got ${width}. Load the model with that number of labels.`);
}

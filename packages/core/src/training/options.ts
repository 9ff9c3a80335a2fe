import { DeftError, type Rng, type Variable } from "@deft-js/tensor";
import type { Observable } from "rxjs";
import type { Attachment, LossTerm } from "../contracts/method.ts";
import type { Meter } from "../contracts/meter.ts";
import type { Model } from "../contracts/model.ts";
import type { OpenTask, Task } from "../contracts/task.ts";
import type { EvaluationCompleted, RunCommand, RunEvent } from "../events/events.ts";
import type { BestRecord, CheckpointStore, DataShape } from "./checkpoint.ts";
import type { OptimizerDefinition } from "./optimizer.ts";

/** The part of a run's streams that the loop uses: a `RunStream` or a `StageContext` fits. */
export interface TrainingStream {
  emit(event: RunEvent): void;
  readonly commands: Observable<RunCommand>;
  /** See `RunStream.guard`; the training runs in it where it is there. */
  guard?<T>(work: () => Promise<T>): Promise<T>;
}

/** Options of `train`. */
export interface TrainingOptions {
  readonly model: Model;
  readonly attachments?: readonly Attachment[] | undefined;
  /** What is trained; the attachments' variables and the model's head when left out. */
  readonly variables?: readonly Variable[] | undefined;
  readonly task: OpenTask;
  /** The task's metrics; without them evaluation computes the loss alone. */
  readonly metrics?: Task["metrics"] | undefined;
  readonly losses?: readonly LossTerm[] | undefined;
  readonly optimizer: OptimizerDefinition;
  /** Passes over the training split. At least one of `epochs` and `maxSteps` is needed; the shorter ends the run. */
  readonly epochs?: number | undefined;
  /** Optimizer steps. */
  readonly maxSteps?: number | undefined;
  /** Examples of a micro-batch. */
  readonly batchSize: number;
  /** Micro-batches of a step; 1 by default. */
  readonly accumulate?: number | undefined;
  /** Largest ‖g‖₂; no clipping when left out. */
  readonly clipNorm?: number | undefined;
  /** Dropout while training; true by default. */
  readonly dropout?: boolean | undefined;
  /** A new order of the training split in every epoch; true by default. */
  readonly shuffle?: boolean | undefined;
  /** Examples of like length share a batch; what the split does when left out. */
  readonly bucket?: boolean | undefined;
  /** Steps between evaluations, or after every `epoch` (default), or `never`; unless `never`, once more at the end. */
  readonly evaluateEvery?: number | "epoch" | "never" | undefined;
  /** `batchSize` when left out. */
  readonly evaluationBatchSize?: number | undefined;
  readonly meters?: readonly Meter[] | undefined;
  /** The metric of the first evaluation split that decides which state is best; its first one when left out. */
  readonly metric?: string | undefined;
  /** What is better; `max` by default, `min` for `loss`. */
  readonly mode?: "max" | "min" | undefined;
  /** The state that the variables are left in; `last` by default. */
  readonly keep?: "best" | "last" | undefined;
  readonly rng: Rng;
  readonly stream?: TrainingStream | undefined;
  readonly checkpoints?: CheckpointStore | undefined;
  /** Steps between saves of the last state, or after every `epoch` (default); once more at the end. */
  readonly saveEvery?: number | "epoch" | undefined;
  /** Continue from the last state in `checkpoints`, where there is one. */
  readonly resume?: boolean | undefined;
}

/** What a training came to. */
export interface TrainingResult {
  /** Optimizer steps done. */
  readonly steps: number;
  /** Why it ended early, when a command stopped it. */
  readonly stopped?: string | undefined;
  readonly best?: BestRecord | undefined;
  /** The step whose state the variables hold. */
  readonly keptStep: number;
  /** All evaluations in order. */
  readonly history: readonly EvaluationCompleted[];
}

/** A training's length. */
export interface Plan {
  readonly data: DataShape;
  readonly epochs: number;
  readonly totalSteps: number;
}

/** What is trained when nothing is named: every attachment's variables, then the model's head. */
export function trainableVariables({ model, attachments = [], variables }: Pick<TrainingOptions, "model" | "attachments" | "variables">): readonly Variable[] {
  return variables ?? [...attachments.flatMap((attachment) => attachment.variables), ...model.headParameters()];
}

/** Refuses two meters of one id, whose reports would take each other's place. Throws `evaluation.meters`. */
export function checkMeters(meters: readonly Meter[] = []): void {
  const twice = meters.find(({ id }, i) => meters.findIndex((other) => other.id === id) !== i);
  if (twice !== undefined) throw new DeftError("evaluation.meters", `evaluate: each meter must have an id of its own, got ${twice.id} twice. Measure them in two evaluations.`);
}

/** Lays out a training. Throws `training.options` on a number out of range and `training.empty` when there is no row. */
export function planOf({ task, batchSize, accumulate = 1, epochs, maxSteps, ...rest }: TrainingOptions): Plan {
  const { evaluateEvery = "epoch", saveEvery = "epoch", evaluationBatchSize, clipNorm, keep = "last", mode = "max" } = rest;
  for (const [name, value, words] of [["evaluateEvery", evaluateEvery, ["epoch", "never"]], ["saveEvery", saveEvery, ["epoch"]], ["keep", keep, ["best", "last"]], ["mode", mode, ["max", "min"]]] as const)
    if (typeof value === "string" && !(words as readonly string[]).includes(value)) throw new DeftError("training.options", `training: ${name} must be ${words.join(" or ")}, got ${value}. Correct it.`);
  for (const [name, value] of Object.entries({ batchSize, accumulate, epochs, maxSteps, evaluateEvery, saveEvery, evaluationBatchSize }))
    if (typeof value === "number" && !(Number.isInteger(value) && value >= 1)) throw new DeftError("training.options", `training: ${name} must be a whole number from 1, got ${value}. Correct it.`);
  if (clipNorm !== undefined && !(clipNorm > 0)) throw new DeftError("training.options", `training: clipNorm must be greater than 0, got ${clipNorm}. Correct it or leave it out.`);
  if (epochs === undefined && maxSteps === undefined) throw new DeftError("training.options", "training: needs epochs or maxSteps, got neither. Give one.");
  if (task.train.size === 0) throw new DeftError("training.empty", `training: split ${task.train.name} must have rows, got none. Check the data.`);
  const stepsPerEpoch = Math.ceil(Math.ceil(task.train.size / batchSize) / accumulate);
  const totalSteps = Math.min(maxSteps ?? Infinity, (epochs ?? Infinity) * stepsPerEpoch);
  return { data: { examples: task.train.size, batchSize, accumulate }, epochs: Math.ceil(totalSteps / stepsPerEpoch), totalSteps };
}

import { join } from "node:path";
import { adamW, DeftError, train, trainableVariables, type Artifact, type Attachment, type LossTerm, type Meter, type OpenTask, type RunCommand, type StageContext, type Task, type TrainingResult } from "@deft-js/core";
import type { Variable } from "@deft-js/tensor";
import { fileCheckpoints } from "../run/checkpoints.ts";
import { connectEarlyStopping, type TrainingSettings } from "./training-options.ts";

/** What a training stage trains, and on what. */
export interface StageTraining {
  readonly artifact: Artifact;
  readonly context: StageContext & { command?(command: RunCommand): void };
  /** The stage's name, unique within the run: names its checkpoints and its stream of random numbers. */
  readonly name: string;
  readonly settings: TrainingSettings;
  readonly task: OpenTask;
  readonly metrics?: Task["metrics"] | undefined;
  readonly attachments: readonly Attachment[];
  readonly variables?: readonly Variable[] | undefined;
  readonly losses?: readonly LossTerm[] | undefined;
  readonly meters?: readonly Meter[] | undefined;
}

/** Runs core's training loop as a stage: with checkpoints in the run's folder, where there is one, and early stopping. */
export async function trainStage(training: StageTraining): Promise<TrainingResult & { readonly trainableParameters: number }> {
  const { artifact, context, name, settings, task, metrics, attachments, variables, losses, meters } = training;
  const { optimizer = adamW({ learningRate: 3e-4, warmupRatio: 0.06 }), batchSize = 32 } = settings;
  checkEvaluations(settings, task);
  const checkpoints = context.folder === undefined ? undefined : fileCheckpoints(join(context.folder, "checkpoints", name));
  const history = context.resume ? ((await checkpoints?.load("last"))?.history ?? []) : [];
  const run = { events: context.events, command: (command: RunCommand) => context.command?.(command) };
  const watched = connectEarlyStopping(settings, run, history);
  try {
    const options = { model: artifact.model, attachments, variables };
    const trainableParameters = trainableVariables(options).reduce((sum, { size }) => sum + size, 0);
    const result = await train({ ...settings, ...options, task, metrics, losses, meters, optimizer, batchSize, checkpoints, resume: context.resume, rng: context.rng.fork(name), stream: context });
    if (watched.error !== undefined) throw watched.error;
    return { ...result, trainableParameters };
  } finally {
    watched.disconnect();
  }
}

/** Refuses what would wait for evaluations that never come. */
function checkEvaluations({ earlyStopping, evaluateEvery, keep }: TrainingSettings, { evaluation }: OpenTask): void {
  const waiting = earlyStopping !== undefined ? "earlyStopping" : keep === "best" ? "keep: best" : undefined;
  if (waiting !== undefined && evaluateEvery === "never") throw new DeftError("early-stopping.split", `training: ${waiting} needs evaluations, got evaluateEvery: never. Leave one of them out.`);
  if (waiting !== undefined && evaluation.length === 0) throw new DeftError("early-stopping.split", `training: ${waiting} needs a split to evaluate, got a task without one. Leave it out.`);
  const watched = earlyStopping?.split;
  if (watched !== undefined && evaluation.every(({ name }) => name !== watched))
    throw new DeftError("early-stopping.split", `early stopping: split must be one of ${evaluation.map(({ name }) => name).join(", ")}, got ${watched}. Correct it.`);
}

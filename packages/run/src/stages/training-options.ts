import { earlyStopping, type DeftError, type EvaluationCompleted, type EarlyStoppingOptions, type Kernel, type OptimizerDefinition, type TrainingOptions, type TrainingResult } from "@deft-js/core";
import { z } from "zod";
import { choice, makeChosen, type Choice } from "../recipe/choice.ts";
import { OPTIMIZER } from "./optimizer.ts";

const count = z.int().min(1);

/** Options that every training stage has in recipes. */
export function trainingSchema(kernel: Kernel) {
  return {
    optimizer: choice(kernel, OPTIMIZER).default({ adamw: { learningRate: 3e-4, warmupRatio: 0.06 } }).describe("how gradients change the variables"),
    epochs: count.optional().describe("passes over the training split; 3 when neither epochs nor maxSteps is given"),
    maxSteps: count.optional().describe("optimizer steps; the shorter of the two ends the training"),
    batchSize: count.default(32).describe("examples of a micro-batch"),
    accumulate: count.default(1).describe("micro-batches of a step"),
    clipNorm: z.number().positive().optional().describe("largest norm of the whole gradient"),
    dropout: z.boolean().default(true),
    shuffle: z.boolean().default(true),
    bucket: z.boolean().optional().describe("examples of like length share a batch"),
    evaluateEvery: z.union([count, z.literal(["epoch", "never"])]).default("epoch").describe("epoch, never, or steps between evaluations"),
    evaluationBatchSize: count.optional(),
    saveEvery: z.union([count, z.literal("epoch")]).default("epoch").describe("epoch, or steps between saves of the last state"),
    metric: z.string().optional().describe("decides which state is best; the task's first when left out"),
    mode: z.enum(["max", "min"]).optional(),
    keep: z.enum(["best", "last"]).default("last").describe("the state that the stage ends in"),
    earlyStopping: z
      .strictObject({ metric: z.string(), patience: count, minDelta: z.number().min(0).optional(), mode: z.enum(["max", "min"]).optional(), split: z.string().optional() })
      .optional()
      .describe("stop after `patience` evaluations without an improvement"),
  };
}

/** Options that every training stage has in code. */
export interface TrainingSettings extends Omit<TrainingOptions, "model" | "attachments" | "variables" | "task" | "metrics" | "losses" | "meters" | "optimizer" | "rng" | "stream" | "checkpoints" | "resume" | "batchSize"> {
  /** AdamW with η = 3e-4 and 6 % warm-up when left out. */
  readonly optimizer?: OptimizerDefinition | undefined;
  /** 32 when left out. */
  readonly batchSize?: number | undefined;
  readonly earlyStopping?: Omit<EarlyStoppingOptions, "history"> | undefined;
}

/** The options of a training stage in code from those in a recipe. */
export function trainingSettings(kernel: Kernel, { optimizer, ...rest }: { readonly optimizer: Choice } & Omit<TrainingSettings, "optimizer">): TrainingSettings {
  const { epochs, maxSteps } = rest;
  return { ...rest, optimizer: makeChosen(kernel, OPTIMIZER, optimizer), ...(epochs === undefined && maxSteps === undefined ? { epochs: 3 } : {}) };
}

/** Early stopping, connected. */
export interface ConnectedEarlyStopping {
  /** Of a metric that evaluations do not have: the training was stopped for it. */
  readonly error: DeftError | undefined;
  disconnect(): void;
}

/** Connects early stopping to a run, where it is wanted. */
export function connectEarlyStopping(settings: TrainingSettings, run: Parameters<ReturnType<typeof earlyStopping>["connect"]>[0], history: readonly EvaluationCompleted[]): ConnectedEarlyStopping {
  let error: DeftError | undefined;
  const connected = settings.earlyStopping && earlyStopping({ ...settings.earlyStopping, history, onError: (found) => (error = found) }).connect(run);
  return {
    get error() {
      return error;
    },
    disconnect: () => connected?.(),
  };
}

/** What a training came to, as plain JSON: the evaluations are those of the state that was kept. */
export function trainingMetrics({ steps, stopped, best, keptStep, history }: TrainingResult): Record<string, unknown> {
  const kept = history.filter(({ step }) => step === keptStep);
  return {
    steps,
    keptStep,
    ...(stopped === undefined ? {} : { stopped }),
    ...(best === undefined ? {} : { best }),
    evaluations: Object.fromEntries(kept.map(({ split, examples, metrics, reports }) => [split, { examples, metrics, reports }])),
    history: history.map(({ step, split, metrics }) => ({ step, split, metrics })),
  };
}

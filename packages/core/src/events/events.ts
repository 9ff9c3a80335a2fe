/** One observation of a run: plain frozen data, never tensors. Times are milliseconds since the epoch. */
export type RunEvent =
  | RunStarted
  | { readonly type: "stage.started"; readonly time: number; readonly stage: string; readonly index: number; readonly of: number }
  | TrainingStarted
  | { readonly type: "epoch.started"; readonly time: number; readonly epoch: number; readonly epochs: number }
  | StepCompleted
  | EvaluationCompleted
  | { readonly type: "checkpoint.saved"; readonly time: number; readonly step: number; readonly path: string; readonly kind: "last" | "best" }
  | { readonly type: "warning"; readonly time: number; readonly message: string }
  | { readonly type: "stage.completed"; readonly time: number; readonly stage: string; readonly index: number; readonly metrics: unknown }
  | { readonly type: "run.completed"; readonly time: number; readonly metrics: unknown }
  | { readonly type: "run.failed"; readonly time: number; readonly code: string; readonly message: string };

/** A run has begun. */
export interface RunStarted {
  readonly type: "run.started";
  readonly time: number;
  readonly seed: number;
  readonly backend: string;
  readonly folder?: string | undefined;
  /** By name: Node, core and every plugin that is loaded. */
  readonly versions?: Readonly<Record<string, string>> | undefined;
}

/** Training is about to begin: what will be trained and for how long. */
export interface TrainingStarted {
  readonly type: "training.started";
  readonly time: number;
  readonly totalSteps: number;
  readonly epochs: number;
  readonly trainable: readonly { readonly path: string; readonly shape: readonly number[] }[];
  readonly trainableParameters: number;
  readonly totalParameters: number;
}

/** One optimizer step is done and its tensors are disposed. */
export interface StepCompleted {
  readonly type: "step.completed";
  readonly time: number;
  /** Counted from 1. */
  readonly step: number;
  readonly totalSteps: number;
  readonly epoch: number;
  readonly learningRate: number;
  /** Σ w·loss. */
  readonly loss: number;
  /** Each term's value before its weight. */
  readonly terms: Readonly<Record<string, number>>;
  readonly weights: Readonly<Record<string, number>>;
  /** ‖g‖₂ before clipping. */
  readonly gradientNorm: number;
  readonly tokens: number;
  readonly milliseconds: number;
  /** Live tensors after the step. */
  readonly tensors: number;
}

/** A pass over an evaluation split is done. */
export interface EvaluationCompleted {
  readonly type: "evaluation.completed";
  readonly time: number;
  readonly step: number;
  readonly split: string;
  readonly examples: number;
  readonly metrics: Readonly<Record<string, number>>;
  /** By meter id. */
  readonly reports: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** What a subscriber may ask of the loop; read between steps. */
export type RunCommand =
  | { readonly type: "stop"; readonly reason: string }
  | { readonly type: "save" }
  | { readonly type: "evaluate" }
  | { readonly type: "set-weight"; readonly term: string; readonly weight: number };

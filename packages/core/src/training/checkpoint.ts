import { DeftError, type RngState } from "@deft-js/tensor";
import type { EvaluationCompleted } from "../events/events.ts";
import type { StateVoice } from "../method/state.ts";
import type { StepState } from "./training-step.ts";

/** Who speaks when a checkpoint does not fit what is trained. */
export const CHECKPOINT: StateVoice = { who: "checkpoint", code: "training.resume", remedy: "Resume with the recipe that wrote it." };

/** The best evaluation so far. */
export interface BestRecord {
  readonly metric: string;
  readonly value: number;
  /** Optimizer steps done then. */
  readonly step: number;
}

/** How the data is cut: must be the same on resume. */
export interface DataShape {
  /** Rows of the training split. */
  readonly examples: number;
  readonly batchSize: number;
  readonly accumulate: number;
}

/** Where the data stands. */
export interface Cursor {
  readonly epoch: number;
  /** Batches of the epoch already used. */
  readonly batches: number;
}

/** A training run between two steps: everything needed to continue bit for bit. Plain JSON but for the arrays in `variables` and `moments`. */
export interface TrainingState extends StepState {
  readonly cursor: Cursor;
  readonly data: DataShape;
  /** The run's generator: data order and dropout are forks of it. */
  readonly rng: RngState;
  readonly best?: BestRecord | undefined;
  /** All evaluations so far. */
  readonly history: readonly EvaluationCompleted[];
}

/** Keeps training states. Both are awaited; what they throw fails the run. */
export interface CheckpointStore {
  /** Replaces the state of this kind as a whole or leaves the old one. @returns where it lies */
  save(kind: "last" | "best", state: TrainingState): Promise<string>;
  load(kind: "last" | "best"): Promise<TrainingState | undefined>;
}

/** @throws DeftError `training.resume` when the data is cut in another way than in the state */
export function checkData(state: TrainingState, data: DataShape): void {
  for (const key of ["examples", "batchSize", "accumulate"] as const)
    if (state.data[key] !== data[key])
      throw new DeftError("training.resume", `checkpoint: ${key} must be as it was, ${state.data[key]}, got ${data[key]}. Resume with the recipe and data that wrote it.`);
}

import type { Tensor, Variable } from "@deft-js/tensor";
import type { NamedArray } from "../contracts/model.ts";

/** A configured optimizer with its learning-rate schedule: what recipes hold. */
export interface OptimizerDefinition {
  readonly id: string;
  /** The options as plain JSON, defaults filled in. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Starts it for these variables and a run of `totalSteps` steps. */
  create(variables: readonly Variable[], totalSteps: number): Optimizer;
}

/** An optimizer at work. Owns its moments; its steps are counted by the loop. */
export interface Optimizer {
  /** η at a step, counted from 0. */
  learningRateAt(step: number): number;
  /** Changes the variables by their gradients (keyed by path) at a step, counted from 0. */
  update(gradients: ReadonlyMap<string, Tensor>, step: number): void;
  /** Everything that it remembers, by name. */
  state(): readonly NamedArray[];
  /** Takes what `state` gave. Throws `training.resume` on a missing, unexpected or misshapen array. */
  loadState(state: readonly NamedArray[]): void;
  dispose(): void;
}

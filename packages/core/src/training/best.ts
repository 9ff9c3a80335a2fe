import { DeftError } from "@deft-js/tensor";
import type { NamedArray } from "../contracts/model.ts";
import type { EvaluationCompleted } from "../events/events.ts";
import type { BestRecord } from "./checkpoint.ts";
import { modeOf } from "./early-stopping.ts";

/** Remembers which evaluation was best, and the variables as they were then. */
export class BestState {
  readonly #metric: string | undefined;
  readonly #mode: "max" | "min" | undefined;
  #record: BestRecord | undefined;
  #variables: readonly NamedArray[] = [];

  constructor(options: { metric?: string | undefined; mode?: "max" | "min" | undefined }) {
    this.#metric = options.metric;
    this.#mode = options.mode;
  }

  get record(): BestRecord | undefined {
    return this.#record;
  }

  get variables(): readonly NamedArray[] {
    return this.#variables;
  }

  /**
   * Whether this evaluation is better than all before; NaN never is.
   * @throws DeftError `training.metric` when it does not have the metric
   */
  isImproved({ metrics, step }: EvaluationCompleted): BestRecord | undefined {
    const metric = this.#metric ?? Object.keys(metrics)[0] ?? "loss";
    const value = metrics[metric];
    if (value === undefined) throw new DeftError("training.metric", `training: metric must be one of ${Object.keys(metrics).join(", ")}, got ${metric}. Correct the name.`);
    const sign = modeOf(metric, this.#mode) === "max" ? 1 : -1;
    const improved = this.#record === undefined ? !Number.isNaN(value) : sign * value > sign * this.#record.value;
    return improved ? { metric, value, step } : undefined;
  }

  take(record: BestRecord, variables: readonly NamedArray[]): void {
    this.#record = record;
    this.#variables = variables;
  }
}

import { DeftError } from "@deft-js/tensor";
import type { Reporter } from "../contracts/reporter.ts";
import type { EvaluationCompleted } from "../events/events.ts";

/** Options of `earlyStopping`. */
export interface EarlyStoppingOptions {
  /** The metric that is watched. */
  readonly metric: string;
  /** Evaluations without improvement after which the run is asked to stop. */
  readonly patience: number;
  /** An improvement must be greater than this; 0 by default. */
  readonly minDelta?: number | undefined;
  /** What is better; `max` by default, `min` for `loss`. */
  readonly mode?: "max" | "min" | undefined;
  /** The split that is watched; the first evaluated one when left out. */
  readonly split?: string | undefined;
  /** Evaluations before a resume (`TrainingState.history`), so that the count goes on. */
  readonly history?: readonly EvaluationCompleted[] | undefined;
  /** Takes the error of a metric that evaluations do not have, when the run was asked to stop for it; the subscriber throws it when left out. */
  readonly onError?: ((error: DeftError) => void) | undefined;
}

/**
 * Sends `stop` after `patience` evaluations in a row without an improvement of more than `minDelta`. The count starts afresh
 * with every further training of the run. A metric that evaluations do not have stops it, too (`early-stopping.metric`).
 * @throws DeftError `early-stopping.options` when patience is not a whole number from 1
 */
export function earlyStopping(options: EarlyStoppingOptions): Reporter {
  const { metric, patience } = options;
  if (!Number.isInteger(patience) || patience < 1) throw new DeftError("early-stopping.options", `early stopping: patience must be a whole number from 1, got ${patience}. Correct it.`);
  return {
    id: "early-stopping",
    connect(run) {
      let watch = new Watch(options);
      for (const evaluation of options.history ?? []) watch.see(evaluation);
      let trainings = 0;
      const subscription = run.events.subscribe((event) => {
        if (event.type === "training.started" && ++trainings > 1) watch = new Watch(options);
        if (event.type === "evaluation.completed") watch.see(event);
        else if (event.type !== "training.started") return;
        if (watch.error !== undefined) {
          run.command({ type: "stop", reason: watch.error.message });
          if (options.onError === undefined) throw watch.error;
          return options.onError(watch.error);
        }
        if (watch.misses >= patience) run.command({ type: "stop", reason: `${metric} did not improve in ${watch.misses} evaluations` });
      });
      return () => subscription.unsubscribe();
    },
  };
}

/** Counts evaluations since the best one. */
class Watch {
  misses = 0;
  error: DeftError | undefined;
  readonly #options: EarlyStoppingOptions;
  #split: string | undefined;
  #best = -Infinity;

  constructor(options: EarlyStoppingOptions) {
    this.#options = options;
    this.#split = options.split;
  }

  see({ split, metrics }: EvaluationCompleted): void {
    const { metric, minDelta = 0 } = this.#options;
    if (split !== (this.#split ??= split)) return;
    const value = metrics[metric];
    if (value === undefined) {
      this.error = new DeftError("early-stopping.metric", `early stopping: metric must be one of ${Object.keys(metrics).join(", ")}, got ${metric}. Correct the name.`);
      return;
    }
    const gain = modeOf(metric, this.#options.mode) === "max" ? value : -value;
    if (gain > this.#best + minDelta || (this.#best === -Infinity && !Number.isNaN(gain))) {
      this.#best = gain;
      this.misses = 0;
    } else this.misses++;
  }
}

/** What is better of a metric: less of a loss, more of everything else, unless said. */
export function modeOf(metric: string, mode: "max" | "min" | undefined): "max" | "min" {
  return mode ?? (metric === "loss" ? "min" : "max");
}

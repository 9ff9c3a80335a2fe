import { weightedSum } from "@deft-js/tensor";
import type { ActivationObserver, LossTerm, Progress } from "../contracts/method.ts";

/** What makes a loss term of an observer. */
export interface ActivationLoss {
  /** See `LossTerm.name`. */
  readonly name: string;
  /** See `LossTerm.weightAt`. */
  weightAt(progress: Progress): number;
  /** See `LossTerm.observer`. Values may be late where `late` says so. */
  observer(progress: Progress, late: boolean): ActivationObserver;
}

/** A loss term that needs one activation at a time: `compute` shows its observer the activations that were tapped. */
export function activationLoss({ name, weightAt, observer }: ActivationLoss): LossTerm {
  return {
    name,
    taps: { activations: true },
    weightAt,
    observer: (progress) => observer(progress, true),
    compute({ activations }, _batch, progress) {
      const pass = observer(progress, false);
      for (const activation of activations) pass.observe(activation);
      return weightedSum(pass.loss());
    },
  };
}

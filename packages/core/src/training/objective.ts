import { add, DeftError, noGradient, scale, type Tensor } from "@deft-js/tensor";
import type { Batch } from "../contracts/batch.ts";
import type { LossTerm, Progress } from "../contracts/method.ts";
import type { ForwardResult, Model, Taps } from "../contracts/model.ts";

/** The taps that are wanted by at least one. */
export function unionTaps(taps: readonly Taps[]): Taps {
  return { activations: taps.some((t) => t.activations === true), hiddenStates: taps.some((t) => t.hiddenStates === true) };
}

/** What is minimised: Σ wᵢ·lossᵢ, the model's own loss first, as the term `task` with weight 1. */
export class Objective {
  readonly taps: Taps;
  /** The terms' names in order. */
  readonly names: readonly string[];
  readonly #terms: readonly LossTerm[];
  readonly #overrides = new Map<string, number>();

  /** @throws DeftError `training.terms` when two terms have one name */
  constructor(model: Model, losses: readonly LossTerm[]) {
    const task: LossTerm = { name: "task", taps: {}, weightAt: () => 1, compute: (forward, batch) => model.loss(forward, batch) };
    this.#terms = [task, ...losses];
    this.names = this.#terms.map((term) => term.name);
    this.taps = unionTaps(this.#terms.map((term) => term.taps));
    const twice = this.names.find((name, i) => this.names.indexOf(name) !== i);
    if (twice !== undefined) throw new DeftError("training.terms", `training: loss terms must have names of their own, got ${twice} twice. Rename or remove one (\`task\` is the model's loss).`);
  }

  /** Weights set from outside; they outrank the terms' own from now on. */
  get overrides(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#overrides);
  }

  /** @throws DeftError `training.weight` when there is no such term or the weight is not finite */
  setWeight(term: string, weight: number): void {
    if (!this.names.includes(term)) throw new DeftError("training.weight", `set-weight: the term must be one of ${this.names.join(", ")}, got ${term}. Correct the name.`);
    this.#overrides.set(term, finiteWeight(term, weight));
  }

  /** wᵢ at this point of the run, in the order of `names`. */
  weights(progress: Progress): readonly number[] {
    return this.#terms.map((term) => finiteWeight(term.name, this.#overrides.get(term.name) ?? term.weightAt(progress)));
  }

  /**
   * The weighted sum and each term before its weight. A term of weight 0 is computed for the record alone, without a gradient.
   * @throws DeftError `training.weight` when every weight is 0
   */
  compute(forward: ForwardResult, batch: Batch, weights: readonly number[], progress: Progress): { total: Tensor; terms: readonly Tensor[] } {
    const weighted: Tensor[] = [];
    const terms = this.#terms.map((term, i) => {
      const weight = weights[i] ?? 0;
      if (weight === 0) return noGradient(() => term.compute(forward, batch, progress));
      const value = term.compute(forward, batch, progress);
      weighted.push(weight === 1 ? value : scale(value, weight));
      return value;
    });
    if (weighted.length === 0) throw new DeftError("training.weight", `training: one loss term must have a weight other than 0, got 0 for ${this.names.join(", ")}. Raise one.`);
    return { total: weighted.reduce((sum, part) => add(sum, part)), terms };
  }
}

function finiteWeight(term: string, weight: number): number {
  if (!Number.isFinite(weight)) throw new DeftError("training.weight", `training: the weight of ${term} must be a finite number, got ${weight}. Correct its schedule.`);
  return weight;
}

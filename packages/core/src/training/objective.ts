import { DeftError, hold, noGradient, release, type Summand, type Tensor } from "@deft-js/tensor";
import type { Batch } from "../contracts/batch.ts";
import type { ActivationObserver, LossTerm, Progress } from "../contracts/method.ts";
import type { ForwardResult, Model, TappedActivation, Taps } from "../contracts/model.ts";

/** The taps that are wanted by at least one. */
export function unionTaps(taps: readonly Taps[]): Taps {
  const observers = taps.flatMap(({ observe }) => observe ?? []);
  const observe = observers.length === 0 ? undefined : (activation: TappedActivation): void => observers.forEach((see) => see(activation));
  return { activations: taps.some((t) => t.activations === true), hiddenStates: taps.some((t) => t.hiddenStates === true), observe };
}

/** The objective of one forward pass. */
export interface ComputedObjective {
  /** What it is the sum of: what a gradient is asked for. */
  readonly summands: readonly Summand[];
  /** What each term is the sum of, before its weight; to be read after the way back, when late values are there. */
  readonly terms: readonly (readonly Summand[])[];
  /** Frees what the terms are made of. */
  end(): void;
}

/** What is minimised: Σ wᵢ·lossᵢ, the model's own loss first, as the term `task` with weight 1. */
export class Objective {
  /** The terms' names in order. */
  readonly names: readonly string[];
  readonly #terms: readonly LossTerm[];
  readonly #overrides = new Map<string, number>();

  /** @throws DeftError `training.terms` when two terms have one name */
  constructor(model: Model, losses: readonly LossTerm[]) {
    const task: LossTerm = { name: "task", taps: {}, weightAt: () => 1, compute: (forward, batch) => model.loss(forward, batch) };
    this.#terms = [task, ...losses];
    this.names = this.#terms.map((term) => term.name);
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
   * Runs the model and the terms. A term of weight 0 is computed for the record alone, without a gradient.
   * @param forward runs the model with these taps
   * @throws DeftError `training.weight` when every weight is 0, `training.term` when a term is not one number
   */
  compute(forward: (taps: Taps) => ForwardResult, batch: Batch, weights: readonly number[], progress: Progress): ComputedObjective {
    const passes = this.#terms.map((term, i) => new TermPass(term, weights[i] ?? 0, progress));
    const end = (): void => passes.forEach((pass) => pass.end());
    try {
      if (weights.every((weight) => weight === 0)) throw new DeftError("training.weight", `training: one loss term must have a weight other than 0, got 0 for ${this.names.join(", ")}. Raise one.`);
      const taps = unionTaps(passes.map((pass) => pass.taps));
      const observe = (activation: TappedActivation): void => {
        taps.observe?.(activation);
        passes.forEach((pass) => pass.observe(activation));
      };
      const result = forward({ ...taps, observe });
      const parts = passes.map((pass) => pass.summands(result, batch));
      const weighted = parts.flatMap((summands, i) => (weights[i] === 0 ? [] : summands.map(({ values, weight }) => ({ values, weight: weight * (weights[i] as number) }))));
      return { summands: weighted, terms: parts, end };
    } catch (error) {
      end();
      throw error;
    }
  }
}

/** A term in one forward pass: by its observer where it has one. */
class TermPass {
  readonly #term: LossTerm;
  readonly #weight: number;
  readonly #progress: Progress;
  readonly #observer: ActivationObserver | undefined;
  readonly #kept: Tensor[] = [];

  constructor(term: LossTerm, weight: number, progress: Progress) {
    this.#term = term;
    this.#weight = weight;
    this.#progress = progress;
    this.#observer = term.observer?.(progress);
  }

  get taps(): Taps {
    return this.#observer === undefined ? this.#term.taps : { ...this.#term.taps, activations: false };
  }

  observe(activation: TappedActivation): void {
    const observer = this.#observer;
    if (observer === undefined) return;
    for (const tensor of this.#recorded(() => observer.observe(activation))) {
      hold(tensor);
      this.#kept.push(tensor);
    }
  }

  /** Those of weight 0 left out: no gradient goes to them, so that a late value would never come. */
  summands(result: ForwardResult, batch: Batch): readonly Summand[] {
    return this.#recorded(() => this.#observer?.loss().filter(({ weight }) => weight !== 0) ?? [{ values: this.#scalar(result, batch), weight: 1 }]);
  }

  #scalar(result: ForwardResult, batch: Batch): Tensor {
    const value = this.#term.compute(result, batch, this.#progress);
    if (value.size !== 1) throw new DeftError("training.term", `training: the loss ${this.#term.name} must be one number, got shape [${value.shape}]. Reduce it first.`);
    return value;
  }

  end(): void {
    for (const tensor of this.#kept.splice(0)) release(tensor);
  }

  /** Without weight a term has no gradient. */
  #recorded<T>(body: () => T): T {
    return this.#weight === 0 ? noGradient(body) : body();
  }
}

function finiteWeight(term: string, weight: number): number {
  if (!Number.isFinite(weight)) throw new DeftError("training.weight", `training: the weight of ${term} must be a finite number, got ${weight}. Correct its schedule.`);
  return weight;
}

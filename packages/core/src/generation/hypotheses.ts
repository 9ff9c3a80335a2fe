import type { GenerationOptions } from "./options.ts";

/** A finished sequence. */
export interface Hypothesis {
  readonly ids: readonly number[];
  /** Σ log p / length^lengthPenalty. */
  readonly score: number;
}

/** The best finished sequences of one example, at most as many as beams (`BeamHypotheses` of transformers 4.26). */
export class Hypotheses {
  readonly #options: Pick<GenerationOptions, "beams" | "lengthPenalty" | "earlyStopping">;
  #kept: Hypothesis[] = [];

  constructor(options: Pick<GenerationOptions, "beams" | "lengthPenalty" | "earlyStopping">) {
    this.#options = options;
  }

  /** Keeps a sequence when it is better than the worst; `length` counts the prompt and leaves the end token out. */
  add(ids: readonly number[], sum: number, length: number): void {
    const score = sum / length ** this.#options.lengthPenalty;
    if (this.#kept.length === this.#options.beams) {
      const worst = this.#worst;
      if (!(score > worst)) return;
      this.#kept.splice(this.#kept.findIndex((kept) => kept.score === worst), 1);
    }
    this.#kept.push({ ids, score });
  }

  /** Whether no open sequence can come in: `sum` is the best Σ log p among the continuations. */
  isDone(sum: number, length: number): boolean {
    if (this.#kept.length < this.#options.beams) return false;
    return this.#options.earlyStopping || this.#worst >= sum / length ** this.#options.lengthPenalty;
  }

  /** The one with the highest score, the latest of equals. */
  best(): Hypothesis {
    return this.#kept.reduce((best, kept) => (kept.score >= best.score ? kept : best), { ids: [], score: -Infinity } as Hypothesis);
  }

  get #worst(): number {
    return Math.min(...this.#kept.map(({ score }) => score));
  }
}

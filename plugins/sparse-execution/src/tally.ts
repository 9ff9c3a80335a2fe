import type { ops } from "@deft-js/core";

/** What was decided at one layer, call by call. */
export class Tally {
  #calls = 0;
  #skipped = 0;
  #density = 0;

  readonly add = ({ density, skipped }: ops.SparseDecision): void => {
    this.#calls++;
    this.#density += density;
    if (skipped) this.#skipped++;
  };

  /** Calls, those of them that skipped, and the mean share of active neurons. */
  report(): { readonly calls: number; readonly skipped: number; readonly density: number | null } {
    return { calls: this.#calls, skipped: this.#skipped, density: this.#calls === 0 ? null : this.#density / this.#calls };
  }
}

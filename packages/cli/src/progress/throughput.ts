import type { StepCompleted } from "@deft-js/core";

/** How many of the last steps speed is taken over. */
const WINDOW = 20;

/** Speed over the last steps of a run. */
export class Throughput {
  readonly #recent: { readonly tokens: number; readonly milliseconds: number }[] = [];

  add({ tokens, milliseconds }: Pick<StepCompleted, "tokens" | "milliseconds">): void {
    this.#recent.push({ tokens, milliseconds });
    if (this.#recent.length > WINDOW) this.#recent.shift();
  }

  /** Tokens per second; undefined before anything was timed. */
  get tokensPerSecond(): number | undefined {
    const milliseconds = this.#sum("milliseconds");
    return milliseconds > 0 ? (1000 * this.#sum("tokens")) / milliseconds : undefined;
  }

  /** Milliseconds that so many steps will take; undefined before anything was timed. */
  timeFor(steps: number): number | undefined {
    return this.#recent.length > 0 ? (steps * this.#sum("milliseconds")) / this.#recent.length : undefined;
  }

  #sum(key: "tokens" | "milliseconds"): number {
    return this.#recent.reduce((sum, step) => sum + step[key], 0);
  }
}

import type { ForwardResult, Taps } from "./model.ts";

/** Measures something over the forward passes of an evaluation. */
export interface Meter {
  readonly id: string;
  readonly taps: Taps;
  /** Takes one batch's result; must not keep its tensors. */
  add(forward: ForwardResult): void;
  /** What was measured since the last `reset`, as plain JSON. */
  report(): Readonly<Record<string, unknown>>;
  reset(): void;
}

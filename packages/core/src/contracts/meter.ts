import type { ForwardResult, Model, Taps } from "./model.ts";

/** Measures something over the forward passes of an evaluation. */
export interface Meter {
  readonly id: string;
  readonly taps: Taps;
  /** Called before the first pass of an evaluation, for meters that look at the model's sites. @returns the undo, called when the evaluation ends */
  begin?(model: Model): () => void;
  /** Takes one batch's result; must not keep its tensors. */
  add(forward: ForwardResult): void;
  /** What was measured since the last `reset`, as plain JSON. */
  report(): Readonly<Record<string, unknown>>;
  reset(): void;
}

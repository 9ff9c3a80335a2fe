import type { Tensor } from "@deft-js/tensor";

/**
 * One generation in progress: the encoder's output or the prompt, and the keys and values of what was generated so far. Sites run as in
 * `forward`, so that what is attached takes part. Owns its tensors until `dispose`.
 */
export interface Decoding {
  /** Sequences that are being generated; `select` changes it. */
  readonly rows: number;
  /** Logits of the first new token, [rows, vocabulary]; called once, before any `step`. The tensor belongs to the enclosing scope. */
  begin(): Tensor;
  /** Appends one token to every row. @returns logits of the next, [rows, vocabulary], of the enclosing scope */
  step(ids: Int32Array): Tensor;
  /** Goes on with these rows, in this order; a row may be named several times (beams) or not at all. */
  select(rows: readonly number[]): void;
  dispose(): void;
}

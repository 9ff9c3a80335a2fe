import { evaluationContext, KeyValueCache, ops, type Batch, type Decoding } from "@deft-js/core";
import type { BlockCache } from "./block.ts";
import type { Stack } from "./stack.ts";

/** What generation needs of the model. */
export interface DecodingParts {
  readonly encoder: Stack;
  readonly decoder: Stack;
  readonly startId: number;
  /** [rows, dModel] → [rows, vocabulary]. */
  logits(hidden: ops.Tensor): ops.Tensor;
}

/** Generation from a batch's inputs: the encoder runs once, the decoder token by token over its cached keys and values. */
export class T5Decoding implements Decoding {
  readonly #parts: DecodingParts;
  readonly #batch: Batch;
  readonly #caches: readonly BlockCache[];
  #mask: ops.Tensor;
  #rows: number;
  /** For each row, which example it stems from: rows that change places within their example keep their cross-attention. */
  #examples: readonly number[];

  constructor(parts: DecodingParts, batch: Batch) {
    this.#parts = parts;
    this.#batch = batch;
    this.#mask = batch.attentionMask;
    this.#rows = batch.size;
    this.#examples = Array.from({ length: batch.size }, (_, i) => i);
    this.#caches = Array.from({ length: parts.decoder.depth }, () => ({ self: new KeyValueCache(), cross: new KeyValueCache() }));
  }

  get rows(): number {
    return this.#rows;
  }

  begin(): ops.Tensor {
    return ops.scope(() => {
      const { inputIds, attentionMask } = this.#batch;
      const encoded = this.#parts.encoder.forward({ inputIds, attentionMask }, {}, evaluationContext);
      this.#mask = ops.tf.keep(ops.tf.clone(encoded.attentionMask));
      return this.#next(new Int32Array(this.#rows).fill(this.#parts.startId), encoded.hidden);
    });
  }

  step(ids: Int32Array): ops.Tensor {
    return ops.scope(() => this.#next(ids));
  }

  select(rows: readonly number[]): void {
    const examples = rows.map((row) => this.#examples[row] as number);
    const sameExamples = examples.length === this.#rows && examples.every((example, i) => example === this.#examples[i]);
    for (const { self, cross } of this.#caches) {
      self.select(rows);
      if (!sameExamples) cross.select(rows);
    }
    if (!sameExamples) this.#replaceMask(ops.tf.gather(this.#mask, [...rows]));
    this.#examples = examples;
    this.#rows = rows.length;
  }

  dispose(): void {
    for (const { self, cross } of this.#caches) {
      self.dispose();
      cross.dispose();
    }
    this.#replaceMask(undefined);
  }

  /** Runs one new token of each row; `encoded` in the first call, when the caches hold nothing. */
  #next(ids: Int32Array, encoded?: ops.Tensor): ops.Tensor {
    const rows = this.#rows;
    const past = this.#caches[0]?.self.length ?? 0;
    const { hidden } = this.#parts.decoder.forward(
      { inputIds: ops.intTensor(ids, [rows, 1]), attentionMask: ops.ones([rows, past + 1]), past, caches: this.#caches, encoder: { hidden: encoded, mask: this.#mask } },
      {},
      evaluationContext,
    );
    const [, positions = 1, d = 0] = hidden.shape;
    const last = positions === 1 ? hidden : ops.slice(hidden, [0, positions - 1, 0], [rows, 1, d]);
    return this.#parts.logits(ops.reshape(last, [rows, d]));
  }

  /** The batch's own mask is not ours to dispose. */
  #replaceMask(mask: ops.Tensor | undefined): void {
    if (this.#mask !== this.#batch.attentionMask && !this.#mask.isDisposed) this.#mask.dispose();
    if (mask !== undefined) this.#mask = ops.tf.keep(mask);
  }
}

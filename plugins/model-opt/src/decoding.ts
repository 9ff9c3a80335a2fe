import { DeftError, evaluationContext, KeyValueCache, ops, type Batch, type Decoding } from "@deft-js/core";
import type { Decoder } from "./decoder.ts";

const { tf } = ops;

/**
 * Generation from a batch of prompts, one token at a time: each layer's keys and values are kept, so that a step runs the new token alone.
 * Prompts are padded on the left, so that the last position is the last token of every row.
 */
export class OptDecoding implements Decoding {
  readonly #decoder: Decoder;
  readonly #caches: readonly KeyValueCache[];
  /** The prompt's ids, until `begin`. */
  #inputIds: ops.Tensor;
  /** [rows, positions so far]. */
  #mask: ops.Tensor;

  /** @throws DeftError `generation.padding` when a row ends with padding */
  constructor(decoder: Decoder, { inputIds, attentionMask, size, seq }: Batch) {
    const ends = ops.scope(() => ops.read(ops.slice(attentionMask, [0, seq - 1], [size, 1])));
    if (!ends.every((end) => end === 1)) throw new DeftError("generation.padding", `opt: prompts must be padded on the left, got padding at the end of row ${ends.findIndex((end) => end !== 1)}. Turn the rows round.`);
    this.#decoder = decoder;
    this.#caches = Array.from({ length: decoder.depth }, () => new KeyValueCache());
    this.#inputIds = tf.keep(tf.clone(inputIds));
    this.#mask = tf.keep(tf.clone(attentionMask));
  }

  get rows(): number {
    return this.#mask.shape[0] ?? 0;
  }

  begin(): ops.Tensor {
    return this.#run(this.#inputIds, this.#mask, 0);
  }

  step(ids: Int32Array): ops.Tensor {
    const past = this.#mask.shape[1] ?? 0;
    return ops.scope(() => this.#run(ops.intTensor(ids, [this.rows, 1]), ops.concat([this.#mask, ops.ones([this.rows, 1])], 1), past));
  }

  select(rows: readonly number[]): void {
    for (const cache of this.#caches) cache.select(rows);
    this.#keepMask(ops.scope(() => tf.gather(this.#mask, tf.tensor1d([...rows], "int32"))));
  }

  dispose(): void {
    for (const cache of this.#caches) cache.dispose();
    this.#inputIds.dispose();
    this.#mask.dispose();
  }

  /** Logits after the last position. The mask that the embedding gives is kept: rows that it put in front count from then on. */
  #run(inputIds: ops.Tensor, attentionMask: ops.Tensor, past: number): ops.Tensor {
    return ops.scope(() => {
      const decoded = this.#decoder.forward({ input: { inputIds, attentionMask, past }, taps: {}, context: evaluationContext, caches: this.#caches });
      this.#keepMask(tf.clone(decoded.attentionMask));
      const [rows = 0, seq = 0, width = 0] = decoded.hidden.shape;
      const last = ops.slice(decoded.hidden, [0, seq - 1, 0], [rows, 1, width]);
      return this.#decoder.logits(ops.reshape(last, [rows, width]));
    });
  }

  #keepMask(mask: ops.Tensor): void {
    this.#mask.dispose();
    this.#mask = tf.keep(mask);
  }
}

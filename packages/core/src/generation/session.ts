import { DeftError, readAsync, scope, type Tensor } from "@deft-js/tensor";
import type { Batch, HostBatch } from "../contracts/batch.ts";
import type { Decoding } from "../contracts/generation.ts";
import type { Model } from "../contracts/model.ts";
import { batchTensors } from "../training/batch-tensors.ts";
import { breathe } from "../training/breathe.ts";

/** The logits of one position of every row, on the host; the receiver may change them. */
export interface StepLogits {
  /** The logits of a row, [vocabulary]. */
  row(index: number): Float32Array;
}

/** One generation in progress, with its tensors: what greedy decoding, sampling and beam search have in common. */
export class GenerationSession {
  readonly #batch: Batch;
  readonly #decoding: Decoding;

  /** @throws DeftError `generation.model` when the model cannot generate, `generation.batch` of an empty batch, `model.head` */
  constructor(model: Model, host: HostBatch) {
    if (model.decode === undefined) throw new DeftError("generation.model", `generate: the model must be able to decode step by step, got family ${model.family}. Use a T5 or OPT model.`);
    if (!(host.size > 0 && host.seq > 0)) throw new DeftError("generation.batch", `generate: the batch must have a row with a token, got ${host.size} rows of ${host.seq}. Leave empty batches out.`);
    const { labels: _, labelSeq: _seq, scores: _scores, ...inputs } = host;
    this.#batch = batchTensors(inputs);
    try {
      this.#decoding = model.decode(this.#batch);
    } catch (error) {
      this.#disposeBatch();
      throw error;
    }
  }

  begin(): Promise<StepLogits> {
    return this.#read(scope(() => this.#decoding.begin()));
  }

  /** Goes on with these rows, each with its next token. */
  next(rows: readonly number[], ids: readonly number[]): Promise<StepLogits> {
    if (rows.length !== this.#decoding.rows || rows.some((row, i) => row !== i)) this.#decoding.select(rows);
    return this.#read(scope(() => this.#decoding.step(Int32Array.from(ids))));
  }

  dispose(): void {
    this.#decoding.dispose();
    this.#disposeBatch();
  }

  async #read(logits: Tensor): Promise<StepLogits> {
    const vocabulary = logits.shape[1] ?? 0;
    let values: Float32Array;
    try {
      values = await readAsync(logits);
    } finally {
      logits.dispose();
    }
    await breathe();
    return { row: (index) => values.subarray(index * vocabulary, (index + 1) * vocabulary) };
  }

  #disposeBatch(): void {
    for (const tensor of [this.#batch.inputIds, this.#batch.attentionMask, this.#batch.tokenTypeIds]) tensor?.dispose();
  }
}

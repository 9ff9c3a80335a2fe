import type { HostBatch } from "../contracts/batch.ts";
import type { Predictions } from "../contracts/task.ts";

/** Labels of this value do not count. */
const IGNORED = -100;

/**
 * How many labels of a batch count in its loss: examples, or tokens for language models.
 * @param predictsFirst whether something predicts a row's first label; in a causal model nothing does, unless a prompt stands in front
 */
export function countedLabels({ size, labels, labelSeq }: HostBatch, predictsFirst = true): number {
  if (labels === undefined || labelSeq === undefined) return size;
  return labels.reduce((count, label, i) => count + (label === IGNORED || (!predictsFirst && i % labelSeq === 0) ? 0 : 1), 0);
}

/** Gathers what was predicted, batch by batch. */
export class PredictionRows {
  readonly #logits: Float32Array[] = [];
  readonly #labels: Float32Array[] = [];
  #width = 0;

  /**
   * Takes a batch's logits, [size, width], or [size, positions, width] for token heads; of the latter only the rows whose
   * label counts are kept (labels belong to the last positions: a prompt in front has none).
   */
  add(host: HostBatch, logits: Float32Array, shape: readonly number[]): void {
    this.#width = shape.at(-1) ?? 0;
    if (shape.length === 3) return this.#addTokens(host, logits, shape[1] ?? 0);
    this.#logits.push(logits);
    const labels = host.scores ?? (host.labels && Float32Array.from(host.labels));
    if (labels !== undefined) this.#labels.push(labels);
  }

  #addTokens({ size, labels = new Int32Array(), labelSeq = 0 }: HostBatch, logits: Float32Array, positions: number): void {
    const width = this.#width;
    for (let row = 0; row < size; row++) {
      for (let i = 0; i < labelSeq; i++) {
        const label = labels[row * labelSeq + i] ?? IGNORED;
        if (label === IGNORED) continue;
        const start = (row * positions + positions - labelSeq + i) * width;
        this.#logits.push(logits.slice(start, start + width));
        this.#labels.push(Float32Array.of(label));
      }
    }
  }

  /** Everything so far; `labels` is empty when the data has none. */
  predictions(): Predictions {
    return { logits: joined(this.#logits), width: this.#width, labels: joined(this.#labels) };
  }
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

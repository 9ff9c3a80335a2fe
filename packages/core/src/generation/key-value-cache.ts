import { concat, tf, type Tensor } from "@deft-js/tensor";

/** Keys and values of one attention, both [rows, positions, heads·dHead]. */
export interface KeyValue {
  readonly key: Tensor;
  readonly value: Tensor;
}

/** The keys and values that one attention has made during a generation; they outlive scopes until `dispose`. */
export class KeyValueCache {
  #held: KeyValue | undefined;

  /** Positions held. */
  get length(): number {
    return this.#held?.key.shape[1] ?? 0;
  }

  /** Everything so far; undefined before the first `append`. */
  get held(): KeyValue | undefined {
    return this.#held;
  }

  /** Takes the keys and values of further positions. @returns all of them; the cache owns what it returns */
  append({ key, value }: KeyValue): KeyValue {
    const before = this.#held;
    return this.#replace(before === undefined ? { key, value } : { key: concat([before.key, key], 1), value: concat([before.value, value], 1) });
  }

  /** Goes on with these rows, in this order. */
  select(rows: readonly number[]): void {
    const held = this.#held;
    if (held === undefined || (rows.length === held.key.shape[0] && rows.every((row, i) => row === i))) return;
    this.#replace({ key: tf.gather(held.key, [...rows]), value: tf.gather(held.value, [...rows]) });
  }

  dispose(): void {
    this.#held?.key.dispose();
    this.#held?.value.dispose();
    this.#held = undefined;
  }

  #replace({ key, value }: KeyValue): KeyValue {
    this.dispose();
    this.#held = { key: tf.keep(key), value: tf.keep(value) };
    return this.#held;
  }
}

import { tf, type Tensor } from "@deft-js/tensor";

/** Keys and values of one attention sublayer, [rows, positions, heads·dHead] each. */
export interface KeysAndValues {
  readonly key: Tensor;
  readonly value: Tensor;
}

/** The keys and values that one attention sublayer has made so far in a generation. Owns them until `dispose`. */
export class KeyValueCache {
  #held: KeysAndValues | undefined;

  /** How many positions it holds. */
  get length(): number {
    return this.#held?.key.shape[1] ?? 0;
  }

  /** Appends the keys and values of further positions. @returns all of them, the cache's own: not to be disposed */
  extend(next: KeysAndValues): KeysAndValues {
    const before = this.#held;
    const joined = before === undefined ? { key: tf.clone(next.key), value: tf.clone(next.value) } : { key: tf.concat([before.key, next.key], 1), value: tf.concat([before.value, next.value], 1) };
    return this.#replace(joined);
  }

  /** Goes on with these rows, in this order. */
  select(rows: readonly number[]): void {
    if (this.#held === undefined) return;
    const { key, value } = this.#held;
    const taken = tf.tensor1d([...rows], "int32");
    this.#replace({ key: tf.gather(key, taken), value: tf.gather(value, taken) });
    taken.dispose();
  }

  dispose(): void {
    this.#held?.key.dispose();
    this.#held?.value.dispose();
    this.#held = undefined;
  }

  #replace(next: KeysAndValues): KeysAndValues {
    this.dispose();
    this.#held = { key: tf.keep(next.key), value: tf.keep(next.value) };
    return this.#held;
  }
}

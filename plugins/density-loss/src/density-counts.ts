import { countedValue, ops, type Gated, type TappedActivation } from "@deft-js/core";

/** How many of a layer's activations are counted, by example. */
export interface DensityCounts {
  /** [batch]: real positions of each example. */
  readonly positions: Float32Array;
  readonly seq: number;
  readonly neurons: number;
  /** One entry for each threshold given, in their order: [batch] counts of |a| > τ; τ = 0 counts what is not exactly 0. */
  readonly counts: readonly { readonly real: Float32Array; readonly all: Float32Array }[];
}

/** Counts on the device; a few numbers for each example come to the host, never the activations. */
export function densityCounts(activation: TappedActivation, { thresholds, gated }: { readonly thresholds: readonly number[]; readonly gated: Gated }): DensityCounts {
  const { tf } = ops;
  const { mask } = activation;
  const value = countedValue(activation, gated);
  const [batch = 0, seq = 0, neurons = 0] = value.shape;
  const table = ops.noGradient(() =>
    ops.scope(() => {
      const magnitude = tf.abs(value);
      const rows = thresholds.flatMap((threshold) => {
        const above = tf.sum(tf.cast(tf.greater(magnitude, threshold), "float32"), -1); // [batch, seq]
        return [tf.sum(tf.mul(above, mask), -1), tf.sum(above, -1)];
      });
      return ops.read(tf.stack([tf.sum(mask, -1), ...rows])); // [1 + 2·thresholds, batch]
    }),
  );
  const row = (i: number): Float32Array => table.subarray(i * batch, (i + 1) * batch);
  return { positions: row(0), seq, neurons, counts: thresholds.map((_, i) => ({ real: row(1 + 2 * i), all: row(2 + 2 * i) })) };
}

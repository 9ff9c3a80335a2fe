import { differentiable, scope, tf, type Tensor, type Variable } from "@deft-js/tensor";

/** 1 where an id is the padding's, else 0: int32 of the same shape. */
export function paddingIds(ids: Tensor, padId: number): Tensor {
  return scope(() => tf.cast(tf.equal(ids, tf.scalar(padId, "int32")), "int32"));
}

/**
 * The rows taken from a table, without a gradient to its padding row (`padding_idx` of torch.nn.Embedding). Does nothing
 * while the table is frozen.
 * @param rows [batch, seq, d], the table's rows for `ids`
 */
export function stopPaddingGradient(rows: Tensor, table: Variable, ids: Tensor, padId: number): Tensor {
  if (!table.trainable) return rows;
  return differentiable({
    name: "stopPaddingGradient",
    inputs: [rows],
    forward: () => ({ output: tf.clone(rows), saved: [ids] }),
    backward: (dy) => {
      const kept = tf.sub(1, tf.cast(paddingIds(ids, padId), "float32"));
      return [tf.mul(dy.value(), tf.expandDims(kept, -1))];
    },
  });
}

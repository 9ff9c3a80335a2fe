import { DeftError, ops, type Batch } from "@deft-js/core";
import type { T5Config } from "./config.ts";

/** What the decoder reads while it is taught. */
export interface DecoderInputs {
  /** int32 [batch, labelSeq]: the start token, then the labels but the last, −100 as padding. */
  readonly ids: ops.Tensor;
  /** float32 [batch, labelSeq]: 1 where the position's label counts. */
  readonly labelled: ops.Tensor;
}

/**
 * The labels shifted right by one (transformers, `T5PreTrainedModel._shift_right`).
 * @throws DeftError `model.labels` when the batch carries none of shape [batch, labelSeq]
 */
export function decoderInputs({ labels, size }: Batch, { startId, padId }: T5Config): DecoderInputs {
  if (labels?.shape.length !== 2 || labels.shape[0] !== size)
    throw new DeftError("model.labels", `t5: the batch must carry label ids [${size}, labelSeq], got ${labels === undefined ? "none" : `shape [${labels.shape}]`}. Use a text-to-text task.`);
  const { tf } = ops;
  return ops.scope(() => {
    const counts = tf.notEqual(labels, tf.scalar(-100, "int32"));
    const ids = tf.where(counts, labels, tf.fill(labels.shape, padId, "int32"));
    const start = tf.fill([size, 1], startId, "int32");
    return { ids: tf.concat([start, tf.slice(ids, [0, 0], [size, (labels.shape[1] ?? 1) - 1])], 1), labelled: tf.cast(counts, "float32") };
  });
}

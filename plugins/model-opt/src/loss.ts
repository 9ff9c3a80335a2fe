import { DeftError, ops, tokenLoss, type Batch } from "@deft-js/core";

const { tf } = ops;

/**
 * Cross entropy of each token given those before it: the logits at position t against the label at t + 1, mean over the labels that are
 * not −100 (transformers, OPTForCausalLM). Rows that a prompt put in front carry no label; the last of them predicts the first token.
 * With left padding the first token's label counts too, predicted at a padded position, as in the reference.
 * @param logits [batch, positions, vocabulary], positions ≥ the labels' second axis
 * @returns []
 * @throws DeftError `model.labels` when the batch carries none, or none of this shape
 */
export function causalLoss(logits: ops.Tensor, batch: Batch): ops.Tensor {
  const { labels } = batch;
  const [size = 0, positions = 0] = logits.shape;
  if (labels?.shape.length !== 2 || labels.shape[0] !== size || (labels.shape[1] ?? 0) > positions)
    throw new DeftError("model.labels", `opt: labels must be [${size}, ${positions}], got ${labels === undefined ? "none" : `[${labels.shape}]`}. Give one label id or −100 to each token.`);
  const front = positions - (labels.shape[1] ?? 0);
  return ops.scope(() => tokenLoss(logits, { ...batch, labels: shifted(labels, front) }));
}

/** The label that each position predicts: labels one to the left behind `front` rows without, −100 for the last. */
function shifted(labels: ops.Tensor, front: number): ops.Tensor {
  const none = (columns: number): ops.Tensor => tf.fill([labels.shape[0] ?? 0, columns], -100, "int32");
  if (front > 0) return tf.concat([none(front - 1), labels, none(1)], 1);
  return tf.concat([tf.slice(labels, [0, 1], [-1, -1]), none(1)], 1);
}

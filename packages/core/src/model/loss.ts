import { crossEntropy, DeftError, meanSquaredError, reshape, slice, type Tensor } from "@deft-js/tensor";
import type { Batch } from "../contracts/batch.ts";

/**
 * The loss of a classification head: cross entropy with the batch's labels, or the squared error against its scores when
 * there is one label (`num_labels == 1` of the Hugging Face models).
 * @param logits [batch, labels]
 * @returns []
 * @throws DeftError `model.labels` when the batch does not carry them
 */
export function classificationLoss(logits: Tensor, batch: Batch): Tensor {
  if (logits.shape.at(-1) === 1) {
    if (batch.scores === undefined) throw missing("scores");
    return meanSquaredError(reshape(logits, [logits.size]), batch.scores);
  }
  if (batch.labels === undefined) throw missing("labels");
  return crossEntropy(logits, batch.labels);
}

/**
 * The loss of a language-model head: cross entropy over the positions whose label is not −100. Rows that a prompt put in
 * front of the sequence carry no label.
 * @param logits [batch, positions, vocabulary], positions ≥ the labels' second axis
 * @returns []
 * @throws DeftError `model.labels` when the batch carries none, or none of this shape
 */
export function tokenLoss(logits: Tensor, batch: Batch): Tensor {
  if (batch.labels === undefined) throw missing("labels");
  const [size = 0, positions = 0, vocabulary = 0] = logits.shape;
  const [rows, seq = positions] = batch.labels.shape;
  if (batch.labels.shape.length !== 2 || rows !== size || seq > positions)
    throw new DeftError("model.labels", `loss: labels must be [${size}, ${positions}], got [${batch.labels.shape}]. Give one label id or −100 to each token.`);
  const labelled = seq === positions ? logits : slice(logits, [0, positions - seq, 0], [size, seq, vocabulary]);
  return crossEntropy(reshape(labelled, [size * seq, vocabulary]), reshape(batch.labels, [size * seq]));
}

function missing(what: "labels" | "scores"): DeftError {
  return new DeftError("model.labels", `loss: the batch must carry ${what}, got none. Use a task that has them.`);
}

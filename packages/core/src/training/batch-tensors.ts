import { intTensor, tensor } from "@deft-js/tensor";
import type { Batch, HostBatch } from "../contracts/batch.ts";

/** The tensors of a host batch; they belong to the enclosing scope. */
export function batchTensors(host: HostBatch): Batch {
  const { size, seq, labels, labelSeq, scores, tokenTypeIds } = host;
  return {
    size,
    seq,
    inputIds: intTensor(host.inputIds, [size, seq]),
    attentionMask: tensor(host.attentionMask, [size, seq]),
    tokenTypeIds: tokenTypeIds && intTensor(tokenTypeIds, [size, seq]),
    labels: labels && intTensor(labels, labelSeq === undefined ? [size] : [size, labelSeq]),
    scores: scores && tensor(scores, [size]),
  };
}

/** Positions that are not padding. */
export function tokensIn(host: HostBatch): number {
  return host.attentionMask.reduce((sum, m) => sum + m, 0);
}

/** Batches in groups of `count`; the last group of the pass may be smaller and is marked. */
export function* grouped(batches: Iterable<HostBatch>, count: number): Generator<{ readonly batches: readonly HostBatch[]; readonly last: boolean }> {
  let group: HostBatch[] = [];
  for (const batch of batches) {
    if (group.length === count) {
      yield { batches: group, last: false };
      group = [];
    }
    group.push(batch);
  }
  if (group.length > 0) yield { batches: group, last: true };
}

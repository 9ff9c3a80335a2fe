import type { HostBatch, Split } from "@deft-js/core";

const IGNORED = -100;

/** A split for causal language modelling: every token but a row's first is to be predicted from those before it; labels [size, seq], padding −100. */
export function causalSplit(split: Split): Split {
  return {
    name: split.name,
    size: split.size,
    batches: (pass) => {
      const batches = split.batches(pass);
      return { [Symbol.iterator]: () => labelled(batches) };
    },
  };
}

function* labelled(batches: Iterable<HostBatch>): Generator<HostBatch> {
  for (const batch of batches) {
    const { seq, inputIds, attentionMask } = batch;
    yield { ...batch, labels: inputIds.map((id, i) => (attentionMask[i] === 1 && i % seq > 0 ? id : IGNORED)), labelSeq: seq };
  }
}

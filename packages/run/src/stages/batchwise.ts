import type { HostBatch, Split } from "@deft-js/core";
import type { Rng } from "@deft-js/tensor";

/** How a split's batches are changed. */
export interface BatchwiseOptions {
  /** The stream of a pass in file order. */
  readonly rng: Rng;
  /** Names the stream. */
  readonly name: string;
  make(batch: HostBatch, stream: Rng): HostBatch;
}

/** A split whose batches are changed at random, each by a stream of its own: of the pass's `order` where it is shuffled, so that a resumed pass draws the same. */
export function batchwise(split: Split, { rng, name, make }: BatchwiseOptions): Split {
  return {
    name: split.name,
    size: split.size,
    batches: (pass) => {
      const stream = (pass.order ?? rng).fork(name);
      const batches = split.batches(pass);
      return { [Symbol.iterator]: () => changed(batches, pass.skip ?? 0, stream, make) };
    },
  };
}

function* changed(batches: Iterable<HostBatch>, first: number, stream: Rng, make: BatchwiseOptions["make"]): Generator<HostBatch> {
  let number = first;
  for (const batch of batches) yield make(batch, stream.fork(`batch ${number++}`));
}

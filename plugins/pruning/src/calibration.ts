import { batchTensors, DeftError, ops, type HostBatch, type Model, type Site } from "@deft-js/core";

/** Runs calibration examples through a model as it stands, one between two steps of the iteration. */
export type Calibration = () => Iterable<void>;

/** What labels with a length of their own stand for: the input's positions, or a target that an encoder-decoder writes. */
export type LabelsOf = "positions" | "target";

/** Examples one by one, without padding: WANDA counts examples, and padding is nobody's input. */
export function* unpadded(batches: Iterable<HostBatch>, labels: LabelsOf): Generator<HostBatch> {
  for (const batch of batches) for (let row = 0; row < batch.size; row++) yield exampleOf(batch, row, labels);
}

function exampleOf({ seq, inputIds, attentionMask, tokenTypeIds, labels, labelSeq, scores }: HostBatch, row: number, labelsOf: LabelsOf): HostBatch {
  const kept = Array.from({ length: seq }, (_, i) => row * seq + i).filter((i) => attentionMask[i] === 1);
  const own = labels === undefined || labelSeq === undefined ? labels?.slice(row, row + 1) : labels.slice(row * labelSeq, (row + 1) * labelSeq);
  return {
    size: 1,
    seq: kept.length,
    inputIds: Int32Array.from(kept, (i) => inputIds[i] as number),
    attentionMask: new Float32Array(kept.length).fill(1),
    tokenTypeIds: tokenTypeIds && Int32Array.from(kept, (i) => tokenTypeIds[i] as number),
    ...labelled(own, { labelSeq, labelsOf, kept: kept.map((i) => i - row * seq) }),
    scores: scores?.slice(row, row + 1),
  };
}

/** Labels that belong to the input's positions are cut with them; a target's own lose the ignored ones at its end. */
function labelled(own: Int32Array | undefined, { labelSeq, labelsOf, kept }: { labelSeq: number | undefined; labelsOf: LabelsOf; kept: readonly number[] }): Pick<HostBatch, "labels" | "labelSeq"> {
  if (own === undefined || labelSeq === undefined) return { labels: own };
  const cut = labelsOf === "positions" ? Int32Array.from(kept, (i) => own[i] as number) : own.slice(0, Math.max(1, own.findLastIndex((label) => label !== -100) + 1));
  return { labels: cut, labelSeq: cut.length };
}

/** The calibration of a model on examples. */
export function examples(model: Model, rows: readonly HostBatch[]): Calibration {
  return function* () {
    for (const row of rows) {
      ops.scope(() => void model.forward(batchTensors(row)));
      yield;
    }
  };
}

/**
 * ‖xⱼ‖² of each input column j of linear layers: the sum of squares over an example's positions, mean over examples (`scaler_row` of WANDA's authors' code).
 * @returns by path, [dIn]
 */
export async function columnNorms(sites: readonly Site<"linear">[], calibration: Calibration): Promise<ReadonlyMap<string, Float32Array>> {
  const sums = new Map(sites.map(({ path, dIn }) => [path, new Float64Array(dIn)]));
  const pending: { readonly path: string; readonly squares: ops.Tensor }[] = [];
  const undos = sites.map((site) =>
    site.wrap((x, base) => {
      const squares = ops.scope(() => ops.noGradient(() => ops.sum(ops.square(ops.reshape(x, [x.size / site.dIn, site.dIn])), { axes: [0] }))); // [dIn]
      pending.push({ path: site.path, squares: ops.tf.keep(squares) });
      return base(x);
    }, "pre"),
  );
  let examples = 0;
  try {
    for (const _ of calibration()) {
      examples++;
      for (const { path, squares } of pending.splice(0)) {
        const [sum, values] = [sums.get(path) as Float64Array, await ops.readAsync(squares)];
        squares.dispose();
        for (const [j, value] of values.entries()) sum[j] = (sum[j] as number) + value;
      }
    }
  } finally {
    for (const undo of undos) undo();
    for (const { squares } of pending) squares.dispose();
  }
  if (examples === 0) throw new DeftError("prune.calibration", "prune: wanda must have examples to run, got a calibration without any. Give data.");
  return new Map([...sums].map(([path, sum]) => [path, Float32Array.from(sum, (value) => value / examples)]));
}

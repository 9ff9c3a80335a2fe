import type { HostBatch, Tokenizer } from "@deft-js/core";
import { demand } from "../check.ts";

/** Throws unless a batch of a split is well formed: sizes, mask, and ids that the tokenizer has. */
export function demandBatch(name: string, batch: HostBatch, { batchSize, tokenizer }: { readonly batchSize: number; readonly tokenizer: Partial<Tokenizer> }): void {
  const { size, seq, inputIds, attentionMask, tokenTypeIds } = batch;
  demand(size > 0 && size <= batchSize, `split ${name}: a batch must have 1 to ${batchSize} rows, got ${size}`);
  for (const [field, values] of Object.entries({ inputIds, attentionMask, ...(tokenTypeIds && { tokenTypeIds }) }))
    demand(values.length === size * seq, `split ${name}: ${field} must hold ${size}·${seq} values, got ${values.length}`);
  demand(attentionMask.every((m) => m === 0 || m === 1), `split ${name}: the mask must be of 0 and 1, got ${attentionMask.find((m) => m !== 0 && m !== 1)}`);
  for (let row = 0; row < size; row++) demand(attentionMask.subarray(row * seq, (row + 1) * seq).includes(1), `split ${name}: every row must have a token, got a row of padding alone`);
  demandIds(name, batch, tokenizer);
}

/** Padding may be a token's id, too, where the tokenizer gives it another role. */
function demandIds(name: string, { inputIds, attentionMask }: HostBatch, { padId, vocabularySize = Infinity, special }: Partial<Tokenizer>): void {
  demand(inputIds instanceof Int32Array, `split ${name}: inputIds must be an Int32Array, got ${Object.prototype.toString.call(inputIds)}`);
  const unknown = inputIds.find((id) => id < 0 || id >= vocabularySize);
  demand(unknown === undefined, `split ${name}: ids must lie in 0 to ${vocabularySize - 1}, got ${unknown}`);
  if (padId === undefined) return;
  const filled = inputIds.find((id, i) => attentionMask[i] === 0 && id !== padId);
  demand(filled === undefined, `split ${name}: the id must be the tokenizer's padId ${padId} where the mask is 0, got ${filled}`);
  if ((["cls", "sep", "unk", "eos", "mask"] as const).some((role) => special?.(role) === padId)) return;
  const seen = inputIds.findIndex((id, i) => attentionMask[i] === 1 && id === padId);
  demand(seen < 0, `split ${name}: the mask must be 0 over padding, got 1 over the padId ${padId} at ${seen}`);
}

/** A batch of one row without its padding. */
export function rowKey({ inputIds, attentionMask, labels, scores }: HostBatch): string {
  return [inputIds.filter((_, i) => attentionMask[i] === 1).join(), labels?.filter((label) => label !== -100).join() ?? "", scores?.join() ?? ""].join(":");
}

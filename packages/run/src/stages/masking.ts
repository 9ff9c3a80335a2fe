import { DeftError, type HostBatch, type Split, type Tokenizer } from "@deft-js/core";
import type { Rng } from "@deft-js/tensor";
import { batchwise } from "./batchwise.ts";

const IGNORED = -100;

/** Options of `maskedSplit`. */
export interface MaskingOptions {
  readonly tokenizer: Tokenizer;
  /** Share of the tokens that are to be predicted; 0.15 in BERT. */
  readonly probability: number;
  /** The stream of a pass in file order: an evaluation masks the same tokens every time. */
  readonly rng: Rng;
}

/**
 * A split for masked language modelling (Devlin et al., 2019, arXiv:1810.04805, section 3.1): of the tokens that are not special a share is chosen;
 * 80 % of them become the mask, 10 % a random token, 10 % stay; their ids are the labels [size, seq], all others −100. Each batch has one at least.
 * The masks of a shuffled pass come from its `order`, so that every epoch has others and a resumed one the same.
 * @throws DeftError `pretrain.mask` when the tokenizer has no mask token
 */
export function maskedSplit(split: Split, { tokenizer, probability, rng }: MaskingOptions): Split {
  const mask = tokenizer.special("mask");
  if (mask === undefined) throw new DeftError("pretrain.mask", "pretrain: the tokenizer must have a mask token, got none. Name one as `mask_token` in tokenizer_config.json.");
  const plan = { mask, special: specialIds(tokenizer), probability, vocabularySize: tokenizer.vocabularySize };
  return batchwise(split, { rng, name: "masking", make: (batch, stream) => maskedBatch(batch, stream, plan) });
}

/** Ids that are never predicted. */
export function specialIds(tokenizer: Tokenizer): ReadonlySet<number | undefined> {
  return new Set((["mask", "cls", "sep", "pad", "unk"] as const).map((role) => tokenizer.special(role)));
}

interface Plan {
  readonly mask: number;
  readonly special: ReadonlySet<number | undefined>;
  readonly probability: number;
  readonly vocabularySize: number;
}

function maskedBatch(batch: HostBatch, rng: Rng, plan: Plan): HostBatch {
  const inputIds = Int32Array.from(batch.inputIds);
  const labels = new Int32Array(inputIds.length).fill(IGNORED);
  const places = [...inputIds.keys()].filter((i) => batch.attentionMask[i] === 1 && !plan.special.has(inputIds[i]));
  const picked = places.filter(() => rng.uniform() < plan.probability);
  if (picked.length === 0 && places.length > 0) picked.push(places[rng.integer(places.length)] as number);
  for (const i of picked) {
    labels[i] = inputIds[i] as number;
    inputIds[i] = replacement(inputIds[i] as number, rng, plan);
  }
  return { size: batch.size, seq: batch.seq, inputIds, attentionMask: batch.attentionMask, tokenTypeIds: batch.tokenTypeIds, labels, labelSeq: batch.seq };
}

function replacement(id: number, rng: Rng, { mask, vocabularySize }: Plan): number {
  const draw = rng.uniform();
  if (draw < 0.8) return mask;
  return draw < 0.9 ? rng.integer(vocabularySize) : id;
}

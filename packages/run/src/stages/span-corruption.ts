import { DeftError, type HostBatch, type Split, type Tokenizer } from "@deft-js/core";
import type { Rng } from "@deft-js/tensor";
import { batchwise } from "./batchwise.ts";

const IGNORED = -100;

/** Options of `spanCorruptedSplit`. */
export interface SpanCorruptionOptions {
  readonly tokenizer: Tokenizer;
  /** Share of the tokens that are to be predicted; 0.15 in T5. */
  readonly probability: number;
  /** Mean length of a span; 3 in T5. */
  readonly meanSpan: number;
  /** The stream of a pass in file order: an evaluation hides the same spans every time. */
  readonly rng: Rng;
}

/**
 * A split for span corruption (Raffel et al., 2020, arXiv:1910.10683, section 3.1.4): spans of each row give place to the sentinels
 * `<extra_id_0>`, `<extra_id_1>`, …; the labels are the sentinels, each with its span behind it, and the end token. n tokens lose
 * round(n·probability) in round(that/meanSpan) spans, at least one of one; a span never begins a row. The spans of a shuffled pass come from its
 * `order`, so that every epoch has others and a resumed one the same.
 * @throws DeftError `pretrain.sentinel` when the tokenizer has no sentinels, `tokenizer.eos`
 */
export function spanCorruptedSplit(split: Split, { tokenizer, probability, meanSpan, rng }: SpanCorruptionOptions): Split {
  const sentinels = sentinelsOf(tokenizer);
  const eos = tokenizer.special("eos");
  if (eos === undefined) throw new DeftError("tokenizer.eos", "pretrain: the tokenizer must have an end token, got none. Name one as `eos_token` in tokenizer_config.json.");
  const plan: Plan = { sentinels, eos, padId: tokenizer.padId, probability, meanSpan };
  return batchwise(split, { rng, name: "spans", make: (batch, stream) => corrupted(batch, stream, plan) });
}

interface Plan {
  readonly sentinels: readonly number[];
  readonly eos: number;
  readonly padId: number;
  readonly probability: number;
  readonly meanSpan: number;
}

function sentinelsOf(tokenizer: Tokenizer): number[] {
  const sentinels: number[] = [];
  for (let i = 0; i < 100; i++) {
    const ids = tokenizer.ids(`<extra_id_${i}>`);
    if (ids.length !== 1) break;
    sentinels.push(ids[0] as number);
  }
  if (new Set(sentinels).size < 2) throw new DeftError("pretrain.sentinel", "pretrain: span corruption needs the tokens <extra_id_0>, <extra_id_1>, …, got none in the tokenizer. Take a T5 tokenizer.");
  return sentinels;
}

function corrupted(batch: HostBatch, rng: Rng, plan: Plan): HostBatch {
  const rows = Array.from({ length: batch.size }, (_, row) => corruptedRow(tokensOf(batch, row, plan), rng, plan));
  const inputs = padded(rows.map(({ input }) => input), plan.padId);
  const targets = padded(rows.map(({ target }) => target), IGNORED);
  return { size: batch.size, seq: inputs.width, inputIds: inputs.values, attentionMask: inputs.mask, labels: targets.values, labelSeq: targets.width };
}

/** A row's tokens without padding and end token. */
function tokensOf({ seq, inputIds, attentionMask }: HostBatch, row: number, { eos }: Plan): number[] {
  const tokens = [...inputIds.subarray(row * seq, (row + 1) * seq)].filter((_, i) => attentionMask[row * seq + i] === 1);
  return tokens.at(-1) === eos ? tokens.slice(0, -1) : tokens;
}

function corruptedRow(tokens: readonly number[], rng: Rng, { sentinels, eos, probability, meanSpan }: Plan): { input: number[]; target: number[] } {
  const hidden = Math.min(Math.max(Math.round(tokens.length * probability), 1), tokens.length - 1);
  if (hidden < 1) return { input: [...tokens, eos], target: [eos] };
  const spans = Math.min(Math.max(Math.round(hidden / meanSpan), 1), tokens.length - hidden, sentinels.length);
  const [hides, keeps] = [parts(hidden, spans, rng), parts(tokens.length - hidden, spans, rng)];
  const [input, target]: [number[], number[]] = [[], []];
  let at = 0;
  for (const [i, hide] of hides.entries()) {
    const [kept, sentinel] = [keeps[i] as number, sentinels[i] as number];
    input.push(...tokens.slice(at, at + kept), sentinel);
    target.push(sentinel, ...tokens.slice(at + kept, at + kept + hide));
    at += kept + hide;
  }
  return { input: [...input, eos], target: [...target, eos] };
}

/** `total` as `count` random positive whole numbers. */
function parts(total: number, count: number, rng: Rng): number[] {
  const cuts = [...rng.permutation(total - 1).subarray(0, count - 1)].map((cut) => cut + 1).sort((a, b) => a - b);
  return [...cuts, total].map((cut, i) => cut - (i === 0 ? 0 : (cuts[i - 1] as number)));
}

function padded(rows: readonly (readonly number[])[], padding: number): { values: Int32Array; mask: Float32Array; width: number } {
  const width = rows.reduce((most, { length }) => Math.max(most, length), 0);
  const values = new Int32Array(rows.length * width).fill(padding);
  const mask = new Float32Array(rows.length * width);
  for (const [r, row] of rows.entries()) {
    values.set(row, r * width);
    mask.fill(1, r * width, r * width + row.length);
  }
  return { values, mask, width };
}

import { DeftError, type Encoded, type Tokenizer } from "@deft-js/core";
import { located } from "./encode.ts";

/** A text and what is to be generated from it, before they are encoded. */
export interface TextPair {
  readonly input: string;
  readonly target: string;
  /** Where it stands, for errors. */
  readonly file: string;
  readonly line: number;
}

/** Options of `encodePairs`. */
export interface PairOptions {
  readonly tokenizer: Tokenizer;
  /** Tokens that an input may have, special ones counted. */
  readonly maxLength: number;
  /** Tokens that a target may have, the end token counted. */
  readonly maxTargetLength: number;
}

/**
 * The end token of generated texts.
 * @throws DeftError `tokenizer.eos` when there is none
 */
export function endToken(tokenizer: Tokenizer): number {
  const eos = tokenizer.special("eos");
  if (eos === undefined) throw new DeftError("tokenizer.eos", "tokenizer: texts to be generated need an end token, got none. Name one as `eos_token` in tokenizer_config.json.");
  return eos;
}

/** A target's ids, cut, with the end token behind them. */
export function targetIds(target: string, { tokenizer, maxTargetLength }: Omit<PairOptions, "maxLength">): number[] {
  return [...tokenizer.ids(target).slice(0, maxTargetLength - 1), endToken(tokenizer)];
}

/**
 * Encodes text-to-text examples: the input with its special tokens, the target as label ids that end with the end token.
 * @throws DeftError with the tokenizer's code, naming file and line
 */
export function encodePairs(pairs: readonly TextPair[], options: PairOptions): Encoded[] {
  return pairs.map((pair) =>
    located(pair, () => ({ inputIds: options.tokenizer.encode(pair.input, undefined, options.maxLength).inputIds, label: targetIds(pair.target, options) })),
  );
}

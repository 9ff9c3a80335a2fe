import { DeftError, type Tokenizer } from "@deft-js/core";
import * as huggingface from "@huggingface/tokenizers";
import { checkedJson, isObject, malformed, type Json, type TokenizerJson } from "./json.ts";
import { specialCount, templateOf, type Template, type TemplatePart } from "./template.ts";
import { longestFirst } from "./truncation.ts";
import { isWordwise, rememberingWords } from "./words.ts";

type Role = Parameters<Tokenizer["special"]>[0];

/** The part of `@huggingface/tokenizers` that is used: texts to ids and back, without special tokens. */
interface Pieces {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: unknown[] };
  decode(ids: number[], options: { skip_special_tokens: boolean }): string;
  token_to_id(token: string): number | undefined;
}

/** What special tokens are called where tokenizer_config.json does not say. */
const NAMES: Readonly<Record<Role, readonly string[]>> = {
  mask: ["[MASK]", "<mask>"],
  cls: ["[CLS]", "<s>"],
  sep: ["[SEP]", "</s>"],
  pad: ["[PAD]", "<pad>"],
  unk: ["[UNK]", "<unk>"],
  eos: ["</s>", "<|endoftext|>"],
};

/** Options of `tokenizerFromJson`. */
export interface TokenizerOptions {
  /** The content of tokenizer_config.json: names of special tokens (`pad_token`, …) and `clean_up_tokenization_spaces`. */
  readonly config?: unknown;
}

/**
 * A tokenizer from the content of a tokenizer.json (WordPiece, BPE or Unigram). Truncation is to the right, longest first; truncation and padding
 * settings in the file are ignored.
 * @throws DeftError `tokenizer.malformed` when the content breaks a rule
 */
export function tokenizerFromJson(json: unknown, options: TokenizerOptions = {}): Tokenizer {
  const checked = checkedJson(json);
  const config = isObject(options.config) ? options.config : {};
  const template = templateOf(checked.post_processor);
  checkTemplate(template, checked.vocabularySize);
  return new FastTokenizer(checked, piecesOf(checked, config), template, config);
}

function piecesOf(json: TokenizerJson, config: Json): Pieces {
  const settings = { eos_token: tokenName(config["eos_token"]), clean_up_tokenization_spaces: config["clean_up_tokenization_spaces"] !== false };
  try {
    return new huggingface.Tokenizer({ ...json, post_processor: null }, settings) as unknown as Pieces;
  } catch (cause) {
    throw new DeftError("tokenizer.malformed", `tokenizer: every part must be known, got ${(cause as Error).message}. Take the tokenizer.json of a BERT, RoBERTa, T5 or OPT model.`, { cause });
  }
}

/** The name of a special token in a configuration: a string, or an object that holds it. */
function tokenName(value: unknown): string | undefined {
  const name = isObject(value) ? value["content"] : value;
  return typeof name === "string" ? name : undefined;
}

function checkTemplate(template: Template, size: number): void {
  for (const part of [...template.single, ...template.pair])
    if (part.kind === "special") for (const id of part.ids) if (id >= size) throw malformed("the post-processor's ids must be of the vocabulary", id);
}

class FastTokenizer implements Tokenizer {
  readonly padId: number;
  readonly vocabularySize: number;
  readonly #pieces: Pieces;
  readonly #template: Template;
  readonly #names: Json;
  readonly #ids: (text: string) => number[];

  constructor(json: TokenizerJson, pieces: Pieces, template: Template, config: Json) {
    this.#pieces = pieces;
    this.#template = template;
    this.#names = config;
    const encode = (text: string): number[] => idsOf(pieces, text);
    this.#ids = isWordwise(json) ? rememberingWords(encode) : encode;
    this.vocabularySize = json.vocabularySize;
    const padding = json["padding"];
    const pad = this.special("pad") ?? (isObject(padding) ? padding["pad_id"] : undefined);
    if (!Number.isInteger(pad) || (pad as number) < 0 || (pad as number) >= this.vocabularySize) throw malformed("there must be a padding token", pad ?? null, "Name one as `pad_token` in tokenizer_config.json");
    this.padId = pad as number;
  }

  encode(text: string, pair: string | undefined, maxLength: number): { inputIds: number[]; tokenTypeIds: number[] } {
    const parts = pair === undefined ? this.#template.single : this.#template.pair;
    const room = maxLength - specialCount(parts);
    if (!Number.isInteger(maxLength) || room < 1)
      throw new DeftError("tokenizer.maxLength", `tokenizer: maxLength must leave room for text beside ${specialCount(parts)} special tokens, got ${maxLength}. Make it larger.`);
    const a = this.#ids(text);
    const b = pair === undefined ? [] : this.#ids(pair);
    const [keepA, keepB] = longestFirst(a.length, b.length, room);
    return framed(parts, a.slice(0, keepA), b.slice(0, keepB));
  }

  ids(text: string): number[] {
    return [...this.#ids(text)];
  }

  decode(ids: readonly number[]): string {
    return ids.length === 0 ? "" : this.#pieces.decode([...ids], { skip_special_tokens: true });
  }

  special(role: Role): number | undefined {
    const configured = tokenName(this.#names[`${role}_token`]);
    for (const name of configured === undefined ? NAMES[role] : [configured]) {
      const id = this.#pieces.token_to_id(name);
      if (id !== undefined) return id;
    }
    return undefined;
  }
}

/** A word of more than some 100,000 pieces overflows the library's stack. */
function encoded(pieces: Pieces, text: string): { ids: unknown[] } {
  try {
    return pieces.encode(text, { add_special_tokens: false });
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new DeftError("tokenizer.length", `tokenizer: a word may have some 100,000 pieces, got one of ${text.length} characters. Part it by spaces, or take the text out.`, { cause });
  }
}

/** The ids of a text without special tokens. */
function idsOf(pieces: Pieces, text: string): number[] {
  const { ids } = encoded(pieces, text);
  if (!ids.every(Number.isInteger)) throw malformed("every piece of a text must have an id", text, "Give the model an `unk_token`");
  return ids as number[];
}

function framed(parts: readonly TemplatePart[], a: readonly number[], b: readonly number[]): { inputIds: number[]; tokenTypeIds: number[] } {
  const inputIds: number[] = [];
  const tokenTypeIds: number[] = [];
  for (const part of parts) {
    for (const id of part.kind === "special" ? part.ids : part.of === "A" ? a : b) {
      inputIds.push(id);
      tokenTypeIds.push(part.typeId);
    }
  }
  return { inputIds, tokenTypeIds };
}

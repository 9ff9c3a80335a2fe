import { DeftError } from "@deft-js/core";

/** A JSON object of unknown content. */
export type Json = Record<string, unknown>;

/** What is kept of a tokenizer.json that passed the checks. */
export interface TokenizerJson extends Json {
  readonly model: Json;
  readonly added_tokens: readonly AddedToken[];
  readonly post_processor: Json | null;
  /** One more than the largest id. */
  readonly vocabularySize: number;
}

/** An entry of `added_tokens`. */
export interface AddedToken extends Json {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
}

/** Largest number of ids, longest token and longest pattern that are taken from a file, deepest nesting of its parts. */
const LIMITS = { ids: 2 ** 21, token: 4096, pattern: 4096, depth: 8 };

const COMPONENTS = ["normalizer", "pre_tokenizer", "post_processor", "decoder"] as const;

export function malformed(rule: string, got: unknown, remedy = "Take the tokenizer.json that `save_pretrained` of a fast tokenizer writes"): DeftError {
  return new DeftError("tokenizer.malformed", `tokenizer: ${rule}, got ${describe(got)}. ${remedy}.`);
}

function describe(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Checks the content of a tokenizer.json and fills in the parts that may be left out.
 * @throws DeftError `tokenizer.malformed`
 */
export function checkedJson(value: unknown): TokenizerJson {
  if (!isObject(value)) throw malformed("the file must hold an object", value);
  const { model } = value;
  if (!isObject(model)) throw malformed("`model` must be an object", model);
  const parts = Object.fromEntries(COMPONENTS.map((name) => [name, checkedComponent(name, value[name], 0)]));
  const added = checkedAdded(value["added_tokens"] ?? []);
  const largest = added.reduce((most, token) => Math.max(most, token.id), checkedModel(model, added));
  return { ...value, ...parts, model, added_tokens: added, post_processor: parts["post_processor"] ?? null, vocabularySize: largest + 1 };
}

/** A normalizer, pre-tokenizer, … : an object with a type, null when left out; nested ones are bounded in depth, patterns in length. */
function checkedComponent(name: string, value: unknown, depth: number): Json | null {
  if (value === undefined || value === null) return null;
  if (!isObject(value) || typeof value["type"] !== "string") throw malformed(`\`${name}\` must be an object with a type`, value);
  if (depth > LIMITS.depth) throw malformed(`\`${name}\` may be nested ${LIMITS.depth} deep`, depth);
  const pattern = isObject(value["pattern"]) ? (value["pattern"]["Regex"] ?? value["pattern"]["String"]) : undefined;
  if (pattern !== undefined && (typeof pattern !== "string" || pattern.length > LIMITS.pattern))
    throw malformed(`a pattern of \`${name}\` must be a string of at most ${LIMITS.pattern} characters`, pattern);
  for (const key of ["normalizers", "pretokenizers", "processors", "decoders"]) {
    const nested = value[key];
    if (nested === undefined) continue;
    if (!Array.isArray(nested) || nested.length > 64) throw malformed(`\`${name}.${key}\` must be a list of at most 64`, nested);
    for (const part of nested) if (checkedComponent(name, part, depth + 1) === null) throw malformed(`\`${name}.${key}\` must hold objects`, part);
  }
  return value;
}

function checkedAdded(value: unknown): AddedToken[] {
  if (!Array.isArray(value)) throw malformed("`added_tokens` must be a list", value);
  return value.map((token: unknown) => {
    if (!isObject(token)) throw malformed("an added token must be an object", token);
    return { ...token, id: checkedId(token["id"]), content: checkedToken(token["content"]), special: token["special"] === true };
  });
}

/** @returns the largest id of the model's vocabulary. */
function checkedModel(model: Json, added: readonly AddedToken[]): number {
  switch (model["type"]) {
    case "WordPiece":
      checkUnknownToken(model, added);
      return checkedVocabulary(model["vocab"]);
    case "BPE":
      checkMerges(model["merges"]);
      return checkedVocabulary(model["vocab"]);
    case "Unigram":
      return checkedPieces(model);
    default:
      throw malformed("`model.type` must be WordPiece, BPE or Unigram", model["type"]);
  }
}

function checkedVocabulary(vocabulary: unknown): number {
  if (!isObject(vocabulary)) throw malformed("`model.vocab` must be an object", vocabulary);
  let largest = -1;
  const seen = new Set<number>();
  for (const [token, id] of Object.entries(vocabulary)) {
    checkedToken(token);
    if (seen.has(checkedId(id))) throw malformed("an id may stand for one token", { [token]: id });
    seen.add(id as number);
    largest = Math.max(largest, id as number);
  }
  if (largest < 0) throw malformed("`model.vocab` must hold tokens", vocabulary);
  return largest;
}

function checkUnknownToken(model: Json, added: readonly AddedToken[]): void {
  const unknown = model["unk_token"];
  const known = typeof unknown === "string" && (added.some((t) => t.content === unknown) || (isObject(model["vocab"]) && Object.hasOwn(model["vocab"], unknown)));
  if (!known) throw malformed("`model.unk_token` must be a token of the vocabulary", unknown);
  if (typeof model["continuing_subword_prefix"] !== "string") throw malformed("`model.continuing_subword_prefix` must be a string", model["continuing_subword_prefix"]);
}

function checkMerges(merges: unknown): void {
  if (!Array.isArray(merges) || merges.length > LIMITS.ids) throw malformed("`model.merges` must be a list", merges);
  for (const merge of merges as unknown[]) {
    const parts: unknown = typeof merge === "string" ? merge.split(" ") : merge;
    if (!Array.isArray(parts) || parts.length !== 2 || parts.some((part) => typeof part !== "string")) throw malformed("a merge must hold two tokens", merge);
  }
}

function checkedPieces(model: Json): number {
  if (model["byte_fallback"] === true) throw malformed("a Unigram model's `byte_fallback` must be off", true, "Signs that it does not know would have to become bytes, which is not supported");
  const { vocab, unk_id: unknown } = model;
  if (!Array.isArray(vocab) || vocab.length === 0 || vocab.length > LIMITS.ids) throw malformed("`model.vocab` must be a list of pieces", vocab);
  for (const piece of vocab as unknown[]) {
    if (!Array.isArray(piece) || piece.length !== 2 || !Number.isFinite(piece[1])) throw malformed("a piece must be [token, score]", piece);
    checkedToken(piece[0]);
  }
  if (!Number.isInteger(unknown) || (unknown as number) < 0 || (unknown as number) >= vocab.length) throw malformed("`model.unk_id` must be an index of the vocabulary", unknown);
  return vocab.length - 1;
}

function checkedId(id: unknown): number {
  if (!Number.isInteger(id) || (id as number) < 0 || (id as number) >= LIMITS.ids) throw malformed(`an id must be a whole number below ${LIMITS.ids}`, id);
  return id as number;
}

function checkedToken(token: unknown): string {
  if (typeof token !== "string" || token.length > LIMITS.token) throw malformed(`a token must be a string of at most ${LIMITS.token} characters`, token);
  return token;
}

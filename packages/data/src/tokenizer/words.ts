import { isObject, type TokenizerJson } from "./json.ts";

/** Most words that are remembered, and their greatest length. */
const LIMITS = { words: 2 ** 17, characters: 64 };

/**
 * Whether a tokenizer gives a text the ids of its words (as spaces part them) one after the other: BERT's and T5's do, byte-level BPE does not.
 */
export function isWordwise(json: TokenizerJson): boolean {
  const normalizer = json["normalizer"];
  const normalizesWords = normalizer === null || (isObject(normalizer) && (normalizer["type"] === "BertNormalizer" || normalizer["type"] === "Precompiled"));
  return normalizesWords && splitsAtSpaces(json["pre_tokenizer"]) && json.added_tokens.every((token) => !/\s/.test(token.content));
}

function splitsAtSpaces(preTokenizer: unknown): boolean {
  if (!isObject(preTokenizer)) return false;
  if (preTokenizer["type"] === "BertPreTokenizer" || preTokenizer["type"] === "WhitespaceSplit") return true;
  const parts = preTokenizer["pretokenizers"];
  if (preTokenizer["type"] !== "Sequence" || !Array.isArray(parts)) return false;
  const [first, second] = parts as { type: string; prepend_scheme?: string }[];
  return parts.length === 2 && first?.type === "WhitespaceSplit" && second?.type === "Metaspace" && (second.prepend_scheme ?? "always") === "always";
}

/** Encodes word by word and remembers the ids of every word: natural text repeats its words. For tokenizers that are `isWordwise`. */
export function rememberingWords(encode: (text: string) => number[]): (text: string) => number[] {
  const known = new Map<string, readonly number[]>();
  const idsOf = (word: string): readonly number[] => {
    const found = known.get(word);
    if (found !== undefined) return found;
    const ids = encode(word);
    if (known.size >= LIMITS.words) known.clear();
    if (word.length <= LIMITS.characters) known.set(word, ids);
    return ids;
  };
  return (text) => {
    const ids: number[] = [];
    for (const word of text.split(" ")) if (word !== "") for (const id of idsOf(word)) ids.push(id);
    return ids;
  };
}

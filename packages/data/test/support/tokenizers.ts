import { existsSync } from "node:fs";
import { resolve } from "node:path";

/** A tokenizer.json with the parts of BERT's and a handful of words. */
export function bertJson(): Record<string, unknown> {
  const words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "d", "good", "bad", "film", "##s", ".", "the", "un", "##known"];
  const special = (id: number): object => ({ id, content: words[id], single_word: false, lstrip: false, rstrip: false, normalized: false, special: true });
  return {
    version: "1.0",
    added_tokens: [0, 1, 2, 3, 4].map(special),
    normalizer: { type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: { type: "BertProcessing", sep: ["[SEP]", 3], cls: ["[CLS]", 2] },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: { type: "WordPiece", unk_token: "[UNK]", continuing_subword_prefix: "##", max_input_chars_per_word: 100, vocab: Object.fromEntries(words.map((word, i) => [word, i])) },
  };
}

/** A tokenizer.json with the parts of RoBERTa's: byte-level BPE over three letters. */
export function robertaJson(): Record<string, unknown> {
  const tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "a", "b", "c", "Ġ", "ab", "Ġab"];
  return {
    added_tokens: [0, 1, 2, 3, 4].map((id) => ({ id, content: tokens[id], special: true, normalized: false, lstrip: id === 4 })),
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true },
    post_processor: { type: "RobertaProcessing", sep: ["</s>", 2], cls: ["<s>", 0], trim_offsets: true, add_prefix_space: false },
    decoder: { type: "ByteLevel" },
    model: { type: "BPE", unk_token: null, merges: ["a b", "Ġ ab"], vocab: Object.fromEntries(tokens.map((token, i) => [token, i])) },
  };
}

/** A tokenizer.json with the parts of T5's: Unigram over a few pieces. */
export function t5Json(): Record<string, unknown> {
  const pieces: [string, number][] = [["<pad>", 0], ["</s>", 0], ["<unk>", 0], ["▁", -2], ["▁the", -3], ["▁film", -4], ["s", -4], ["a", -5]];
  const end = { SpecialToken: { id: "</s>", type_id: 0 } };
  const text = (id: string): object => ({ Sequence: { id, type_id: 0 } });
  return {
    added_tokens: [0, 1, 2].map((id) => ({ id, content: pieces[id]?.[0], special: true, normalized: false })),
    normalizer: null,
    pre_tokenizer: { type: "Sequence", pretokenizers: [{ type: "WhitespaceSplit" }, { type: "Metaspace", replacement: "▁", prepend_scheme: "always" }] },
    post_processor: { type: "TemplateProcessing", single: [text("A"), end], pair: [text("A"), end, text("B"), end], special_tokens: { "</s>": { id: "</s>", ids: [1], tokens: ["</s>"] } } },
    decoder: { type: "Metaspace", replacement: "▁", prepend_scheme: "always" },
    model: { type: "Unigram", unk_id: 2, vocab: pieces },
  };
}

/** A file of the data folder beside the repository; undefined where it is not there. */
export function sharedFile(name: string): string | undefined {
  const file = resolve(import.meta.dirname, "../../../../../shared/data", name);
  return existsSync(file) ? file : undefined;
}

import { vocabulary } from "./generate.ts";

const SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] as const;
const LETTERS = [..."abcdefghijklmnopqrstuvwxyz0123456789"];
const MARKS = [...".,;:!?'\"()-"];

/** A WordPiece tokenizer.json: the language's words whole, anything else letter by letter. */
export function tokenizerJson(): { json: Record<string, unknown>; size: number } {
  const pieces = [...new Set([...SPECIAL, ...MARKS, ...LETTERS, ...LETTERS.map((letter) => `##${letter}`), ...vocabulary()])];
  const vocab = Object.fromEntries(pieces.map((piece, id) => [piece, id]));
  const special = (token: string) => ({ SpecialToken: { id: token, type_id: 0 } });
  const sequence = (id: "A" | "B", type: number) => ({ Sequence: { id, type_id: type } });
  const json = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: SPECIAL.map((content, id) => ({ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true })),
    normalizer: { type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: {
      type: "TemplateProcessing",
      single: [special("[CLS]"), sequence("A", 0), special("[SEP]")],
      pair: [special("[CLS]"), sequence("A", 0), special("[SEP]"), sequence("B", 1), { SpecialToken: { id: "[SEP]", type_id: 1 } }],
      special_tokens: Object.fromEntries(["[CLS]", "[SEP]"].map((token) => [token, { id: token, ids: [vocab[token]], tokens: [token] }])),
    },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: { type: "WordPiece", unk_token: "[UNK]", continuing_subword_prefix: "##", max_input_chars_per_word: 100, vocab },
  };
  return { json, size: pieces.length };
}

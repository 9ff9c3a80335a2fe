import { vocabulary } from "./generate.ts";

const LETTERS = [..."abcdefghijklmnopqrstuvwxyz0123456789"];
const MARKS = [...".,;:!?'\"()-"];

type Piece = Readonly<Record<string, unknown>>;
const text = (id: "A" | "B", type: number): Piece => ({ Sequence: { id, type_id: type } });
const special = (id: string, type = 0): Piece => ({ SpecialToken: { id, type_id: type } });

/** What tells a BERT's tokenizer from a T5's: the special tokens, and where they stand. */
interface Dialect {
  /** The first ids, in order. */
  readonly first: readonly string[];
  /** The last ids, in order. */
  readonly last: readonly string[];
  readonly unknown: string;
  readonly single: readonly Piece[];
  readonly pair: readonly Piece[];
  /** The special tokens of `single` and `pair`. */
  readonly used: readonly string[];
}

const DIALECTS = {
  bert: {
    first: ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], last: [], unknown: "[UNK]", used: ["[CLS]", "[SEP]"],
    single: [special("[CLS]"), text("A", 0), special("[SEP]")],
    pair: [special("[CLS]"), text("A", 0), special("[SEP]"), text("B", 1), special("[SEP]", 1)],
  },
  t5: {
    first: ["<pad>", "</s>", "<unk>"], last: Array.from({ length: 20 }, (_, i) => `<extra_id_${i}>`), unknown: "<unk>", used: ["</s>"],
    single: [text("A", 0), special("</s>")],
    pair: [text("A", 0), special("</s>"), text("B", 0), special("</s>")],
  },
} as const satisfies Record<string, Dialect>;

/** Models that have an embedded checkpoint. */
export type DemoModel = keyof typeof DIALECTS;

/** A WordPiece tokenizer.json: the language's words whole, anything else letter by letter. */
export function tokenizerJson(model: DemoModel): { json: Record<string, unknown>; size: number } {
  const { first, last, unknown, used, single, pair }: Dialect = DIALECTS[model];
  const pieces = [...new Set([...first, ...MARKS, ...LETTERS, ...LETTERS.map((letter) => `##${letter}`), ...vocabulary(), ...last])];
  const vocab = Object.fromEntries(pieces.map((piece, id) => [piece, id]));
  const json = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [...first, ...last].map((content) => ({ id: vocab[content], content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true })),
    normalizer: { type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: {
      type: "TemplateProcessing",
      single,
      pair,
      special_tokens: Object.fromEntries(used.map((token) => [token, { id: token, ids: [vocab[token]], tokens: [token] }])),
    },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: { type: "WordPiece", unk_token: unknown, continuing_subword_prefix: "##", max_input_chars_per_word: 100, vocab },
  };
  return { json, size: pieces.length };
}

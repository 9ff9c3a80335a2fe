import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Rng } from "@deft-js/tensor";
import { saveModel } from "../../src/model/save.ts";
import { initModel } from "../../src/model/load.ts";
import type { Kernel, HeadKind } from "@deft-js/core";

const GOOD = ["good", "fine", "warm", "bright"];
const BAD = ["bad", "dull", "cold", "grim"];
const OTHER = ["the", "film", "was", "and", "quite"];
const SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

export function tempFolder(): string {
  return mkdtempSync(join(tmpdir(), "deft-run-"));
}

/** A WordPiece tokenizer of whole words. */
export function writeTokenizer(folder: string): string {
  mkdirSync(folder, { recursive: true });
  const words = [...SPECIAL, ...GOOD, ...BAD, ...OTHER];
  const id = (token: string): number => words.indexOf(token);
  const json = {
    version: "1.0",
    added_tokens: SPECIAL.map((content) => ({ id: id(content), content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true })),
    normalizer: { type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: {
      type: "TemplateProcessing",
      single: [{ SpecialToken: { id: "[CLS]", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: "[SEP]", type_id: 0 } }],
      pair: [{ SpecialToken: { id: "[CLS]", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: "[SEP]", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }, { SpecialToken: { id: "[SEP]", type_id: 1 } }],
      special_tokens: Object.fromEntries(["[CLS]", "[SEP]"].map((token) => [token, { id: token, ids: [id(token)], tokens: [token] }])),
    },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: { type: "WordPiece", unk_token: "[UNK]", continuing_subword_prefix: "##", max_input_chars_per_word: 100, vocab: Object.fromEntries(words.map((word, i) => [word, i])) },
  };
  const file = join(folder, "tokenizer.json");
  writeFileSync(file, JSON.stringify(json));
  return file;
}

export const TINY_CONFIG = {
  model_type: "bert", hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 32, hidden_act: "relu",
  hidden_dropout_prob: 0.1, attention_probs_dropout_prob: 0.1, max_position_embeddings: 32, type_vocab_size: 2, pad_token_id: 0, initializer_range: 0.2,
};

/** A random model of two layers in a Hugging Face folder. */
export async function writeTinyModel(folder: string, kernel: Kernel, head: HeadKind = "masked-language-model"): Promise<string> {
  const tokenizer = writeTokenizer(folder);
  const artifact = await initModel({ kernel, config: TINY_CONFIG, tokenizer, head, seed: 7 });
  await saveModel(folder, { ...artifact, source: undefined });
  writeTokenizer(folder);
  artifact.model.dispose();
  return folder;
}

/** Sentences with a good or a bad word in them. */
export function sentences(count: number, seed = 1): { text: string; label: string }[] {
  const rng = new Rng(seed);
  const pick = (words: readonly string[]): string => words[rng.integer(words.length)] as string;
  return Array.from({ length: count }, (_, i) => {
    const good = i % 2 === 0;
    return { text: `the film was ${rng.integer(2) === 0 ? "quite " : ""}${pick(good ? GOOD : BAD)} and ${pick(good ? GOOD : BAD)}`, label: good ? "good" : "bad" };
  });
}

export function writeCsv(file: string, rows: readonly { text: string; label: string }[]): string {
  writeFileSync(file, `text,label\n${rows.map(({ text, label }) => `${text},${label}`).join("\n")}\n`);
  return file;
}

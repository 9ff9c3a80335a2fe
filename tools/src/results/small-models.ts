/** Small models of every architecture for the table of methods: MLPs with ReLU (the gated ones: gelu_new), every linear layer and the head trained on plain sentences of the demo's language. */
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runRecipe } from "@deft-js/run";
import { tokenizerJson, type DemoModel } from "../demo/tokenizer.ts";
import { backend } from "./rows.ts";

/** How an architecture is made and asked. */
export interface SmallModel {
  /** config.json. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly head: "sequence-classification" | "language-model";
  /** Whether density is that of the gate's branch, in shares above a threshold: gelu_new has no exact zeros here. */
  readonly gated?: boolean;
  /** Whose tokenizer of the demo's it has: [CLS] and [SEP] around a text, or </s> behind it. */
  readonly tokenizer: DemoModel;
  /** A word for each class that a language model generates; absent where a head classifies. */
  readonly words?: Readonly<Record<string, string>>;
}

const words = { 0: "bad", 1: "good" };
const encoder = { hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 4, intermediate_size: 256, hidden_act: "relu", max_position_embeddings: 66, initializer_range: 0.1, layer_norm_eps: 1e-5, pad_token_id: 0 };
const t5 = { model_type: "t5", d_model: 64, d_kv: 16, d_ff: 256, num_layers: 2, num_decoder_layers: 2, num_heads: 4, relative_attention_num_buckets: 32, relative_attention_max_distance: 128, pad_token_id: 0, eos_token_id: 1, decoder_start_token_id: 0 };
const opt = { model_type: "opt", hidden_size: 64, word_embed_proj_dim: 64, num_hidden_layers: 2, num_attention_heads: 4, ffn_dim: 256, max_position_embeddings: 66, do_layer_norm_before: true, activation_function: "relu", init_std: 0.1, pad_token_id: 0, eos_token_id: 1 };

/** The architectures by the name in the table. */
export const SMALL_MODELS: Readonly<Record<string, SmallModel>> = {
  BERT: { config: { ...encoder, model_type: "bert", type_vocab_size: 2 }, head: "sequence-classification", tokenizer: "bert" },
  RoBERTa: { config: { ...encoder, model_type: "roberta", type_vocab_size: 1 }, head: "sequence-classification", tokenizer: "bert" },
  T5: { config: { ...t5, feed_forward_proj: "relu", tie_word_embeddings: true }, head: "language-model", tokenizer: "t5", words },
  "Flan-T5": { config: { ...t5, feed_forward_proj: "gated-gelu", tie_word_embeddings: false }, head: "language-model", gated: true, tokenizer: "t5", words },
  OPT: { config: opt, head: "language-model", tokenizer: "t5", words },
};

/** The folder of an architecture's model under `folder`, made where it is not there yet: LoRA of full rank on every linear layer of a random model, merged. */
export async function smallModel(name: string, { folder, task }: { readonly folder: string; readonly task: Readonly<Record<string, unknown>> }): Promise<string> {
  const { config, head, tokenizer } = SMALL_MODELS[name] as SmallModel;
  const path = join(folder, name);
  if (existsSync(join(path, "model.safetensors"))) return path;
  const work = await mkdtemp(join(tmpdir(), "deft-small-"));
  try {
    const file = join(work, "tokenizer.json");
    await writeFile(file, JSON.stringify(tokenizerJson(tokenizer).json));
    const init = { init: config, tokenizer: file, head, ...(head === "sequence-classification" ? { labels: 2 } : {}) };
    const finetune = { task, peft: { lora: { rank: 64, alpha: 64, target: "." } }, optimizer: { adamw: { learningRate: 2e-3, warmupRatio: 0.06 } }, clipNorm: 1, dropout: false, epochs: 4, batchSize: 32, saveEvery: 10_000 };
    const { metrics } = await runRecipe({ content: { model: init, stages: [{ finetune }, { export: { path, layout: "model" } }], ...backend(), seed: 7, output: join(work, "run") }, folder: work });
    console.log(`${name}: ${JSON.stringify((metrics["finetune"] as { history: unknown }).history)}`);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return path;
}

import type { HeadKind, HostBatch, ModelConfig } from "@deft-js/core";
import type { DemoModel } from "../demo/tokenizer.ts";

/** A small model whose folder is written for the peers, and the inputs that both sides run. */
export interface PeerModel {
  readonly config: ModelConfig;
  readonly head: HeadKind;
  readonly tokenizer: DemoModel;
  readonly batch: HostBatch;
}

/** One adapter of it, or the model with the adapter merged. */
export interface PeerCase {
  readonly layout: "peft" | "adapterhub" | "model";
  readonly id: string;
  readonly options: Readonly<Record<string, unknown>>;
  /** Models by name where the method or the library is not defined. */
  readonly notOn?: readonly string[];
}

const inputIds = Int32Array.of(2, 14, 23, 97, 31, 45, 26, 82, 59, 0);
const attentionMask = Float32Array.of(1, 1, 1, 1, 1, 1, 1, 1, 1, 0);
const batch = { size: 2, seq: 5, inputIds, attentionMask };
const encoder = { hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 48, hidden_act: "gelu", max_position_embeddings: 40, initializer_range: 0.3, layer_norm_eps: 1e-5, hidden_dropout_prob: 0, attention_probs_dropout_prob: 0 };
const t5 = { model_type: "t5", d_model: 32, d_kv: 16, d_ff: 48, num_layers: 2, num_decoder_layers: 2, num_heads: 2, relative_attention_num_buckets: 8, relative_attention_max_distance: 16, pad_token_id: 0, eos_token_id: 1, decoder_start_token_id: 0, dropout_rate: 0, initializer_factor: 1 };

/** The models by name. */
export const PEER_MODELS: Readonly<Record<string, PeerModel>> = {
  bert: { config: { ...encoder, model_type: "bert", type_vocab_size: 2, pad_token_id: 0 }, head: "sequence-classification", tokenizer: "bert", batch: { ...batch, labels: Int32Array.of(2, 0) } },
  roberta: { config: { ...encoder, model_type: "roberta", type_vocab_size: 1, pad_token_id: 1 }, head: "sequence-classification", tokenizer: "bert", batch: { ...batch, labels: Int32Array.of(2, 0) } },
  t5: { config: { ...t5, feed_forward_proj: "relu", tie_word_embeddings: true }, head: "language-model", tokenizer: "t5", batch: { ...batch, labels: Int32Array.of(14, 31, 5, 16, 22, -100), labelSeq: 3 } },
  "flan-t5": { config: { ...t5, feed_forward_proj: "gated-gelu", tie_word_embeddings: false }, head: "language-model", tokenizer: "t5", batch: { ...batch, labels: Int32Array.of(14, 31, 5, 16, 22, -100), labelSeq: 3 } },
  opt: {
    config: { model_type: "opt", hidden_size: 32, word_embed_proj_dim: 32, num_hidden_layers: 2, num_attention_heads: 2, ffn_dim: 48, max_position_embeddings: 40, do_layer_norm_before: true, activation_function: "relu", init_std: 0.3, dropout: 0, pad_token_id: 1 },
    head: "language-model", tokenizer: "t5", batch: { ...batch, labels: Int32Array.of(2, 14, 23, 97, 31, 45, 26, 82, 59, -100), labelSeq: 5 },
  },
};

const encoderDecoders = ["t5", "flan-t5"];
const noAdapterHub = ["opt"]; // adapter-transformers 3.2.1 has no adapters for OPT

/** The adapters by name: each method in each layout that can hold it. */
export const PEER_CASES: Readonly<Record<string, PeerCase>> = {
  "lora-peft": { layout: "peft", id: "lora", options: { rank: 4, alpha: 8 } },
  "lora-all-peft": { layout: "peft", id: "lora", options: { rank: 3, alpha: 6, target: String.raw`(?:query|key|value|dense|\.q|\.k|\.v|\.o|wi|wi_0|wi_1|wo|_proj|fc1|fc2)$` } },
  "dora-peft": { layout: "peft", id: "dora", options: { rank: 4, alpha: 8 } },
  "ia3-peft": { layout: "peft", id: "ia3", options: {} },
  "prompt-peft": { layout: "peft", id: "prompt", options: { virtualTokens: 3, compat: "peft" } },
  "prefix-peft": { layout: "peft", id: "prefix", options: { virtualTokens: 3, compat: "peft" } },
  "lora-adapterhub": { layout: "adapterhub", id: "lora", options: { rank: 4, alpha: 8, init: "bert" }, notOn: noAdapterHub },
  "pfeiffer-adapterhub": { layout: "adapterhub", id: "adapter", options: { placement: "pfeiffer", reductionFactor: 4 }, notOn: noAdapterHub },
  "houlsby-adapterhub": { layout: "adapterhub", id: "adapter", options: { placement: "houlsby", reductionFactor: 4 }, notOn: noAdapterHub },
  "prefix-adapterhub": { layout: "adapterhub", id: "prefix", options: { virtualTokens: 3, compat: "adapter-transformers" }, notOn: noAdapterHub },
  "lora-merged": { layout: "model", id: "lora", options: { rank: 4, alpha: 8 } },
  "ia3-merged": { layout: "model", id: "ia3", options: {} },
  "bitfit-merged": { layout: "model", id: "bitfit", options: {}, notOn: encoderDecoders },
};

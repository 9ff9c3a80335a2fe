import type { ModelConfig } from "@deft-js/core";

/** A T5 v1.0 configuration: ReLU, tied head. */
const t5 = (dModel: number, dFf: number, layers: number, heads: number): ModelConfig => ({
  model_type: "t5", architectures: ["T5ForConditionalGeneration"], vocab_size: 32128, d_model: dModel, d_ff: dFf, d_kv: 64, num_layers: layers, num_decoder_layers: layers, num_heads: heads,
  feed_forward_proj: "relu", is_gated_act: false, is_encoder_decoder: true, relative_attention_num_buckets: 32, relative_attention_max_distance: 128, layer_norm_epsilon: 1e-6,
  dropout_rate: 0.1, pad_token_id: 0, eos_token_id: 1, decoder_start_token_id: 0, tie_word_embeddings: true, initializer_factor: 1,
});

/** The same with a gated GELU and an untied head: T5 v1.1 and Flan-T5. */
const flan = (dModel: number, dFf: number, layers: number, heads: number): ModelConfig => ({ ...t5(dModel, dFf, layers, heads), feed_forward_proj: "gated-gelu", dense_act_fn: "gelu_new", is_gated_act: true, tie_word_embeddings: false });

/** The published sizes (their model cards' config.json). */
export const SHAPES: Readonly<Record<string, ModelConfig>> = {
  "t5-small": t5(512, 2048, 6, 8),
  "t5-base": t5(768, 3072, 12, 12),
  "flan-t5-small": flan(512, 1024, 8, 6),
  "flan-t5-base": flan(768, 2048, 12, 12),
  "flan-t5-large": flan(1024, 2816, 24, 16),
  "flan-t5-xl": flan(2048, 5120, 24, 32),
};

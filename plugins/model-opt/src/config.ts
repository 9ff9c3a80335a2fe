import { ACTIVATION_NAMES, DeftError, modelConfig, type ActivationName, type ModelConfig, type ops } from "@deft-js/core";
import { z } from "zod";

/** A configuration, checked: the sizes and rates of an OPT decoder. */
export interface OptConfig {
  readonly vocabSize: number;
  /** dModel. */
  readonly hiddenSize: number;
  readonly layers: number;
  readonly heads: number;
  /** dFf. */
  readonly ffnDim: number;
  /** Width of the token embeddings; where it is not dModel, projections lead in and out. */
  readonly embeddingSize: number;
  readonly activation: ops.ActivationKind;
  readonly dropout: number;
  readonly attentionDropout: number;
  /** Rows of the position table, without the two in front that it leaves free. */
  readonly maxPositions: number;
  readonly initializerRange: number;
  readonly padId: number;
  /** The norms stand before the sublayers (all published sizes but 350m) or after the sums. */
  readonly normBefore: boolean;
  /** A norm follows the last layer. */
  readonly finalNorm: boolean;
  /** Linear layers have biases. */
  readonly bias: boolean;
}

const size = (most: number) => z.number().int().min(1).max(most);
const rate = z.number().min(0).lt(1);

/** The keys of config.json that decide the computation, bounded; other keys are carried along unread. */
const schema = z.object({
  model_type: z.literal("opt"),
  vocab_size: size(2 ** 22),
  hidden_size: size(2 ** 14),
  num_hidden_layers: size(256),
  num_attention_heads: size(1024),
  ffn_dim: size(2 ** 17),
  word_embed_proj_dim: size(2 ** 14).nullish(),
  activation_function: z.enum(Object.keys(ACTIVATION_NAMES) as ActivationName[]).default("relu"),
  dropout: rate.default(0.1),
  attention_dropout: rate.default(0),
  max_position_embeddings: size(2 ** 20).default(2048),
  init_std: z.number().min(0).max(10).default(0.02),
  pad_token_id: z.number().int().min(0).default(1),
  do_layer_norm_before: z.boolean().default(true),
  _remove_final_layer_norm: z.boolean().default(false),
  enable_bias: z.boolean().default(true),
  layer_norm_elementwise_affine: z.literal(true, "only layer norms with weights are supported").nullish(),
  layerdrop: z.literal(0, "dropping whole layers while training is not supported").nullish(),
  tie_word_embeddings: z.literal(true, "only tied word embeddings are supported").nullish(),
});

/**
 * Reads the parts of config.json that the model needs. Defaults are those of transformers' OPTConfig.
 * @throws DeftError `model.config` when a value is missing, out of bounds or asks for something unsupported
 */
export function parseConfig(raw: ModelConfig): OptConfig {
  const c = modelConfig(schema, raw, { who: "opt", what: "an OPT decoder" });
  if (c.hidden_size % c.num_attention_heads !== 0)
    throw new DeftError("model.config", `opt: hidden_size must be a multiple of num_attention_heads, got ${c.hidden_size} and ${c.num_attention_heads}. Correct config.json.`);
  if (c.pad_token_id >= c.vocab_size) throw new DeftError("model.config", `opt: pad_token_id must be below vocab_size ${c.vocab_size}, got ${c.pad_token_id}. Correct config.json.`);
  return {
    vocabSize: c.vocab_size,
    hiddenSize: c.hidden_size,
    layers: c.num_hidden_layers,
    heads: c.num_attention_heads,
    ffnDim: c.ffn_dim,
    embeddingSize: c.word_embed_proj_dim ?? c.hidden_size,
    activation: ACTIVATION_NAMES[c.activation_function],
    dropout: c.dropout,
    attentionDropout: c.attention_dropout,
    maxPositions: c.max_position_embeddings,
    initializerRange: c.init_std,
    padId: c.pad_token_id,
    normBefore: c.do_layer_norm_before,
    finalNorm: c.do_layer_norm_before && !c._remove_final_layer_norm,
    bias: c.enable_bias,
  };
}

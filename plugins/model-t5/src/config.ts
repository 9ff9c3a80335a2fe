import { ACTIVATION_NAMES, DeftError, modelConfig, type ActivationName, type ModelConfig, type ops } from "@deft-js/core";
import { z } from "zod";

/** A configuration, checked: the sizes and rates of a T5 encoder-decoder. */
export interface T5Config {
  readonly vocabSize: number;
  readonly dModel: number;
  /** Size of one head; heads·dKv need not be dModel. */
  readonly dKv: number;
  readonly dFf: number;
  readonly encoderLayers: number;
  readonly decoderLayers: number;
  readonly heads: number;
  readonly buckets: number;
  readonly maxDistance: number;
  readonly dropout: number;
  readonly epsilon: number;
  readonly initializerFactor: number;
  readonly activation: ops.ActivationKind;
  /** Whether the MLP is f(x·W₀)⊙(x·W₁) (v1.1, Flan-T5) instead of f(x·W). */
  readonly gated: boolean;
  /** Whether the language-model head reads the word embeddings (v1.0). */
  readonly tied: boolean;
  readonly padId: number;
  /** The first decoder input. */
  readonly startId: number;
}


const size = (most: number) => z.number().int().min(1).max(most);
const activation = z.enum(Object.keys(ACTIVATION_NAMES) as ActivationName[]);

/** The keys of config.json that decide the computation, bounded; other keys are carried along unread. */
const schema = z.object({
  model_type: z.literal("t5"),
  vocab_size: size(2 ** 22).default(32128),
  d_model: size(2 ** 14),
  d_kv: size(2 ** 12),
  d_ff: size(2 ** 18),
  num_layers: size(256),
  num_decoder_layers: size(256).nullish(),
  num_heads: size(1024),
  relative_attention_num_buckets: size(2 ** 12).default(32),
  relative_attention_max_distance: size(2 ** 20).default(128),
  dropout_rate: z.number().min(0).lt(1).default(0.1),
  layer_norm_epsilon: z.number().positive().max(1).default(1e-6),
  initializer_factor: z.number().min(0).max(1e3).default(1),
  feed_forward_proj: z.string().regex(/^(gated-)?(gelu|gelu_new|relu|silu|swish)$/, "must be relu, gelu, gelu_new, silu or swish, with or without gated- in front").default("relu"),
  dense_act_fn: activation.nullish(),
  is_gated_act: z.boolean().nullish(),
  tie_word_embeddings: z.boolean().default(true),
  is_encoder_decoder: z.literal(true, "only encoder-decoders are supported").nullish(),
  tie_encoder_decoder: z.literal(false, "only separate encoders and decoders are supported").nullish(),
  pad_token_id: z.number().int().min(0).nullish(),
  decoder_start_token_id: z.number().int().min(0).nullish(),
});

/**
 * Reads the parts of config.json that the model needs. Defaults are those of transformers' T5Config: `gated-gelu` means the
 * tanh form of GELU, and `dense_act_fn` and `is_gated_act` win over `feed_forward_proj` where they are given.
 * @throws DeftError `model.config` when a value is missing, out of bounds or asks for something unsupported
 */
export function parseConfig(raw: ModelConfig): T5Config {
  const c = modelConfig(schema, raw, { who: "t5", what: "a T5 encoder-decoder" });
  const padId = c.pad_token_id ?? 0;
  const config: T5Config = {
    vocabSize: c.vocab_size,
    dModel: c.d_model,
    dKv: c.d_kv,
    dFf: c.d_ff,
    encoderLayers: c.num_layers,
    decoderLayers: c.num_decoder_layers ?? c.num_layers,
    heads: c.num_heads,
    buckets: c.relative_attention_num_buckets,
    maxDistance: c.relative_attention_max_distance,
    dropout: c.dropout_rate,
    epsilon: c.layer_norm_epsilon,
    initializerFactor: c.initializer_factor,
    activation: activationOf(c.feed_forward_proj, c.dense_act_fn),
    gated: c.is_gated_act ?? c.feed_forward_proj.startsWith("gated-"),
    tied: c.tie_word_embeddings,
    padId,
    startId: c.decoder_start_token_id ?? padId,
  };
  checkRelations(config);
  return config;
}

function activationOf(projection: string, named: ActivationName | null | undefined): ops.ActivationKind {
  if (projection === "gated-gelu") return ACTIVATION_NAMES[named ?? "gelu_new"];
  return ACTIVATION_NAMES[named ?? (projection.replace("gated-", "") as ActivationName)];
}

function checkRelations({ padId, startId, vocabSize, buckets, maxDistance }: T5Config): void {
  if (padId >= vocabSize || startId >= vocabSize)
    throw new DeftError("model.config", `t5: pad_token_id and decoder_start_token_id must be below vocab_size ${vocabSize}, got ${padId} and ${startId}. Correct config.json.`);
  if (buckets % 4 !== 0 || maxDistance <= buckets / 2)
    throw new DeftError("model.config", `t5: relative_attention_num_buckets must be a multiple of 4 and relative_attention_max_distance above half of it, got ${buckets} and ${maxDistance}. Correct config.json.`);
}

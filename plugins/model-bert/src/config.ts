import { ACTIVATION_NAMES, DeftError, modelConfig, type ActivationName, type ModelConfig, type ops } from "@deft-js/core";
import { z } from "zod";

/** A configuration, checked: the sizes and rates of a BERT or RoBERTa encoder. */
export interface BertConfig {
  readonly modelType: "bert" | "roberta";
  readonly vocabSize: number;
  /** dModel. */
  readonly hiddenSize: number;
  readonly layers: number;
  readonly heads: number;
  /** dFf. */
  readonly intermediateSize: number;
  readonly activation: ops.ActivationKind;
  readonly hiddenDropout: number;
  readonly attentionDropout: number;
  readonly classifierDropout: number;
  readonly maxPositions: number;
  readonly typeVocabSize: number;
  readonly initializerRange: number;
  readonly layerNormEpsilon: number;
  readonly padId: number;
  /** Number of labels of a classification head. */
  readonly labels: number;
}

const size = (most: number) => z.number().int().min(1).max(most);
const rate = z.number().min(0).lt(1);

/** The keys of config.json that decide the computation, bounded; other keys are carried along unread. */
const schema = z.object({
  model_type: z.enum(["bert", "roberta"]),
  vocab_size: size(2 ** 22),
  hidden_size: size(2 ** 14),
  num_hidden_layers: size(256),
  num_attention_heads: size(1024),
  intermediate_size: size(2 ** 17),
  hidden_act: z.enum(Object.keys(ACTIVATION_NAMES) as ActivationName[]).default("gelu"),
  hidden_dropout_prob: rate.default(0.1),
  attention_probs_dropout_prob: rate.default(0.1),
  classifier_dropout: rate.nullish(),
  max_position_embeddings: size(2 ** 20).default(512),
  type_vocab_size: size(1024).default(2),
  initializer_range: z.number().min(0).max(10).default(0.02),
  layer_norm_eps: z.number().positive().max(1).default(1e-12),
  pad_token_id: z.number().int().min(0).nullish(),
  position_embedding_type: z.literal("absolute", "only absolute position embeddings are supported").nullish(),
  is_decoder: z.literal(false, "only encoders are supported").nullish(),
  add_cross_attention: z.literal(false, "only encoders are supported").nullish(),
  tie_word_embeddings: z.literal(true, "only tied word embeddings are supported").nullish(),
  num_labels: size(2 ** 20).nullish(),
  id2label: z.record(z.string(), z.unknown()).nullish(),
});

/**
 * Reads the parts of config.json that the model needs. Defaults are those of transformers' BertConfig and RobertaConfig.
 * @throws DeftError `model.config` when a value is missing, out of bounds or asks for something unsupported
 */
export function parseConfig(raw: ModelConfig, options: { labels?: number | undefined } = {}): BertConfig {
  const c = modelConfig(schema, raw, { who: "bert", what: "a BERT or RoBERTa encoder" });
  const config: BertConfig = {
    modelType: c.model_type,
    vocabSize: c.vocab_size,
    hiddenSize: c.hidden_size,
    layers: c.num_hidden_layers,
    heads: c.num_attention_heads,
    intermediateSize: c.intermediate_size,
    activation: ACTIVATION_NAMES[c.hidden_act],
    hiddenDropout: c.hidden_dropout_prob,
    attentionDropout: c.attention_probs_dropout_prob,
    classifierDropout: c.classifier_dropout ?? c.hidden_dropout_prob,
    maxPositions: c.max_position_embeddings,
    typeVocabSize: c.type_vocab_size,
    initializerRange: c.initializer_range,
    layerNormEpsilon: c.layer_norm_eps,
    padId: c.pad_token_id ?? (c.model_type === "roberta" ? 1 : 0),
    labels: options.labels ?? c.num_labels ?? (Object.keys(c.id2label ?? {}).length || 2),
  };
  checkRelations(config);
  return config;
}

function checkRelations(config: BertConfig): void {
  const { hiddenSize, heads, padId, vocabSize, labels } = config;
  if (hiddenSize % heads !== 0) throw new DeftError("model.config", `bert: hidden_size must be a multiple of num_attention_heads, got ${hiddenSize} and ${heads}. Correct config.json.`);
  if (padId >= vocabSize) throw new DeftError("model.config", `bert: pad_token_id must be below vocab_size ${vocabSize}, got ${padId}. Correct config.json.`);
  if (config.modelType === "roberta" && padId >= config.maxPositions - 1)
    throw new DeftError("model.config", `bert: max_position_embeddings must leave room past pad_token_id ${padId}, got ${config.maxPositions}. Correct config.json.`);
  if (!Number.isInteger(labels) || labels < 1) throw new DeftError("model.config", `bert: the number of labels must be a positive integer, got ${labels}. Pass \`labels\`.`);
}

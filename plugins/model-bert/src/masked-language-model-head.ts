import { layerNormSite, ops, tokenLoss, type ParameterSpec } from "@deft-js/core";
import type { BertConfig } from "./config.ts";
import { dense } from "./dense.ts";
import type { HeadPlan } from "./head.ts";
import { linearSpecs, normSpecs } from "./parameters.ts";

interface Names {
  readonly dense: string;
  readonly norm: string;
  readonly bias: string;
  readonly biasAlias: string;
  /** The config's activation in BERT, always GELU in RoBERTa. */
  readonly activation: ops.ActivationKind;
}

/**
 * logits = LN(f(h·W + b))·Eᵀ + c with the word embeddings E, [batch, seq, vocabulary] (transformers, BertLMPredictionHead and
 * RobertaLMHead). Its parameters are part of the base: they train with it or not at all.
 */
export function maskedLanguageModelHead(config: BertConfig): HeadPlan {
  const names = namesOf(config);
  const { hiddenSize: d, vocabSize } = config;
  const bias: ParameterSpec = { name: names.bias, shape: [vocabSize], initial: "zeros", aliases: [names.biasAlias] };
  return {
    specs: [bias, ...linearSpecs(config, names.dense, d, d), ...normSpecs(config, names.norm)],
    newParts: [],
    architecture: "ForMaskedLM",
    build: (parts) => {
      const transform = dense(parts, names.dense);
      const norm = layerNormSite(parts, { path: names.norm, stack: "encoder" }, config.layerNormEpsilon);
      const word = parts.parameter(`${config.modelType}.embeddings.word_embeddings.weight`);
      const offset = parts.parameter(names.bias);
      return (hidden, context) => ops.linear(norm(transform(hidden, names.activation), context), word.value, { bias: offset.value, transposed: true, frozen: !word.trainable });
    },
    loss: tokenLoss,
  };
}

function namesOf(config: BertConfig): Names {
  if (config.modelType === "roberta")
    return { dense: "lm_head.dense", norm: "lm_head.layer_norm", bias: "lm_head.bias", biasAlias: "lm_head.decoder.bias", activation: "gelu" };
  const path = "cls.predictions";
  return { dense: `${path}.transform.dense`, norm: `${path}.transform.LayerNorm`, bias: `${path}.bias`, biasAlias: `${path}.decoder.bias`, activation: config.activation };
}

import type { HeadKind, ParameterSpec } from "@deft-js/core";
import type { BertConfig } from "./config.ts";

/** The part of the parameters that only BERT's own classification head reads. */
export const POOLER = "pooler";

/** The specs of PATH.weight [dOut, dIn] and PATH.bias of a linear layer. */
export function linearSpecs(config: BertConfig, path: string, dIn: number, dOut: number, part = "base"): ParameterSpec[] {
  return [
    { name: `${path}.weight`, shape: [dOut, dIn], matrix: true, initial: { normal: config.initializerRange }, part },
    { name: `${path}.bias`, shape: [dOut], initial: "zeros", part },
  ];
}

/** The specs of PATH.weight and PATH.bias of a layer norm. */
export function normSpecs(config: BertConfig, path: string, part = "base"): ParameterSpec[] {
  return [
    { name: `${path}.weight`, shape: [config.hiddenSize], initial: "ones", part },
    { name: `${path}.bias`, shape: [config.hiddenSize], initial: "zeros", part },
  ];
}

/** The parameters of the embeddings and the layers, in the order of the Hugging Face state dict. */
export function encoderSpecs(config: BertConfig): ParameterSpec[] {
  const layers = Array.from({ length: config.layers }, (_, i) => layerSpecs(config, `${config.modelType}.encoder.layer.${i}`));
  return [...embeddingSpecs(config), ...layers.flat()];
}

function embeddingSpecs(config: BertConfig): ParameterSpec[] {
  const path = `${config.modelType}.embeddings`;
  const table = (name: string, rows: number, zeroRow?: number): ParameterSpec => ({
    name: `${path}.${name}.weight`,
    shape: [rows, config.hiddenSize],
    initial: { normal: config.initializerRange, zeroRow },
  });
  return [
    table("word_embeddings", config.vocabSize, config.padId),
    table("position_embeddings", config.maxPositions, config.modelType === "roberta" ? config.padId : undefined),
    table("token_type_embeddings", config.typeVocabSize),
    ...normSpecs(config, `${path}.LayerNorm`),
  ];
}

function layerSpecs(config: BertConfig, path: string): ParameterSpec[] {
  const { hiddenSize: d, intermediateSize: f } = config;
  return [
    ...linearSpecs(config, `${path}.attention.self.query`, d, d),
    ...linearSpecs(config, `${path}.attention.self.key`, d, d),
    ...linearSpecs(config, `${path}.attention.self.value`, d, d),
    ...linearSpecs(config, `${path}.attention.output.dense`, d, d),
    ...normSpecs(config, `${path}.attention.output.LayerNorm`),
    ...linearSpecs(config, `${path}.intermediate.dense`, d, f),
    ...linearSpecs(config, `${path}.output.dense`, f, d),
    ...normSpecs(config, `${path}.output.LayerNorm`),
  ];
}

/** The names that a file may use for a Hugging Face name: as it is, without the encoder's prefix, and with `gamma` and `beta` for a layer norm's parameters. */
export function fileNames(config: BertConfig, name: string): string[] {
  const prefix = `${config.modelType}.`;
  const bare = name.startsWith(prefix) ? [name, name.slice(prefix.length)] : [name];
  return bare.flatMap((n) => [n, n.replace(/LayerNorm\.weight$/, "LayerNorm.gamma").replace(/LayerNorm\.bias$/, "LayerNorm.beta")]);
}

/** What a checkpoint of the family may hold besides the model's own parameters: buffers, the heads of pretraining, and any head where none is asked for. */
export function ignoredNames(config: BertConfig, head: HeadKind): RegExp[] {
  const encoder = [/^(bert\.|roberta\.)?embeddings\.(position_ids|token_type_ids)$/, /^(bert\.|roberta\.)?pooler\.dense\.(weight|bias)$/];
  const pretraining =
    config.modelType === "bert"
      ? [/^cls\.predictions\.(bias|decoder\.(weight|bias)|transform\.(dense\.(weight|bias)|LayerNorm\.(weight|bias|gamma|beta)))$/, /^cls\.seq_relationship\.(weight|bias)$/]
      : [/^lm_head\.(bias|(decoder|dense|layer_norm)\.(weight|bias))$/];
  return [...encoder, ...pretraining, ...(head === "none" ? [/^(classifier|qa_outputs|heads\.[^.]+)\.((dense|out_proj|\d+)\.)?(weight|bias)$/] : [])];
}

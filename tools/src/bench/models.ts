import { MODEL_FAMILY, ops, type Kernel, type Model, type ModelConfig } from "@deft-js/core";
import { SHAPES } from "../synthesize/shapes.ts";
import { BERT_SIZES, type BenchCase } from "./cases.ts";

/** The case's model with random weights, frozen, without dropout. */
export async function buildModel(kernel: Kernel, one: BenchCase): Promise<Model> {
  const family = kernel.create(MODEL_FAMILY, one.kind);
  const model = await family.build({ config: configOf(one), head: one.kind === "t5" ? "language-model" : "sequence-classification", labels: 2, rng: new ops.Rng(0) });
  for (const variable of model.parameters().values()) variable.trainable = false;
  return model;
}

function configOf({ kind, size }: BenchCase): ModelConfig {
  if (kind === "t5") return { ...SHAPES[`t5-${size}`], dropout_rate: 0 };
  const [layers, hidden, heads, intermediate] = BERT_SIZES[size as keyof typeof BERT_SIZES];
  return {
    model_type: "bert", architectures: ["BertForSequenceClassification"], vocab_size: 30522, hidden_size: hidden, num_hidden_layers: layers, num_attention_heads: heads, intermediate_size: intermediate,
    hidden_act: "gelu", hidden_dropout_prob: 0, attention_probs_dropout_prob: 0, max_position_embeddings: 512, type_vocab_size: 2, initializer_range: 0.02, layer_norm_eps: 1e-12, pad_token_id: 0,
  };
}

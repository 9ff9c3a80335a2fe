import { ops, type HostBatch, type Model } from "@deft-js/core";
import { nativeStatus, registerNative } from "@deft-js/plugin-backend-native";
import { bertFamily } from "@deft-js/plugin-model-bert";
import { t5Family } from "@deft-js/plugin-model-t5";
import { useBackend } from "@deft-js/tensor";
import "@tensorflow/tfjs-backend-cpu";

/** The back-ends that start here: the one that skips, and one that does not. */
export const BACKENDS = nativeStatus().built ? ["cpu", "native"] : ["cpu"];

export async function start(id: string): Promise<void> {
  if (id === "native") registerNative();
  await useBackend(id);
}

export const ALWAYS = [{ rows: 1, density: 1 }];
export const NEVER = [{ rows: 1, density: 0 }];

const ids = (n: number, seed: number): Int32Array => Int32Array.from({ length: n }, (_, i) => 1 + ((i * 7 + seed * 5) % 11));

/** Batches of four rows of eight tokens, with labels of three for encoder-decoders. */
export const batches = Array.from({ length: 8 }, (_, i): HostBatch => ({ size: 4, seq: 8, inputIds: ids(32, i), attentionMask: new Float32Array(32).fill(1), labels: ids(12, i + 3), labelSeq: 3 }));

const SIZES = { vocab_size: 12, relative_attention_num_buckets: 8, pad_token_id: 0, decoder_start_token_id: 0, tie_word_embeddings: false };

/** A frozen T5 of one encoder and one decoder layer, d 16, dFf 32. */
export async function t5(feedForward: "gated-gelu" | "relu"): Promise<Model> {
  return frozen(await t5Family.build({ config: { model_type: "t5", d_model: 16, d_kv: 8, d_ff: 32, num_layers: 1, num_heads: 2, feed_forward_proj: feedForward, ...SIZES }, head: "language-model", rng: new ops.Rng(3) }));
}

/** A frozen BERT of one layer with ReLU MLPs, d 16, dFf 32. */
export async function bert(): Promise<Model> {
  const config = { model_type: "bert", vocab_size: 12, hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32, hidden_act: "relu", max_position_embeddings: 8, type_vocab_size: 2, initializer_range: 0.5, layer_norm_eps: 1e-12, pad_token_id: 0 };
  return frozen(await bertFamily.build({ config, head: "masked-language-model", rng: new ops.Rng(5) }));
}

function frozen(model: Model): Model {
  for (const variable of model.parameters().values()) variable.trainable = false;
  return model;
}

export const difference = (a: Float32Array, b: Float32Array): number => a.reduce((most, v, i) => Math.max(most, Math.abs(v - (b[i] ?? NaN))), 0);

import { ops, type HostBatch, type Model, type TensorSource } from "@deft-js/core";
import { bertFamily } from "@deft-js/plugin-model-bert";
import { t5Family } from "@deft-js/plugin-model-t5";

const inputs = { size: 2, seq: 5, inputIds: Int32Array.of(1, 4, 2, 7, 3, 5, 6, 2, 0, 0), attentionMask: Float32Array.of(1, 1, 1, 1, 1, 1, 1, 1, 0, 0) };

const BERT = { model_type: "bert", vocab_size: 12, hidden_size: 8, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 12, max_position_embeddings: 9, initializer_range: 0.5, layer_norm_eps: 1e-5 };
const T5 = { model_type: "t5", vocab_size: 12, d_model: 8, d_kv: 4, d_ff: 12, num_layers: 2, num_heads: 2, relative_attention_num_buckets: 8, feed_forward_proj: "gated-gelu", tie_word_embeddings: false, pad_token_id: 0, decoder_start_token_id: 0 };

/** How a model is built: from a source, without the matrices that are absent. */
export interface Building {
  readonly source?: TensorSource | undefined;
  readonly absent?: ((path: string) => boolean) | undefined;
}

/** A small model of a family, with a batch that it learns from. */
export interface Small {
  readonly batch: HostBatch;
  build(options?: Building): Promise<Model>;
}

export const SMALL: Readonly<Record<"BERT" | "T5", Small>> = {
  BERT: { batch: { ...inputs, labels: Int32Array.of(2, 0) }, build: (options) => bertFamily.build({ config: BERT, head: "sequence-classification", labels: 3, rng: new ops.Rng(3), ...options }) },
  T5: { batch: { ...inputs, labels: Int32Array.of(4, 7, 1, 5, 1, -100), labelSeq: 3 }, build: (options) => t5Family.build({ config: T5, head: "language-model", rng: new ops.Rng(3), ...options }) },
};

/** A model's tensors in memory, and the names that were read. */
export function recordingSource(model: Model): { readonly source: TensorSource; readonly read: Set<string> } {
  const tensors = new Map([...model.exportParameters()].map(({ name, shape, values }) => [name, { shape, values: values.slice() }]));
  const read = new Set<string>();
  const held = (name: string) => tensors.get(name)!;
  return { read, source: { names: () => [...tensors.keys()], shape: (name) => held(name).shape, read: (name) => (read.add(name), held(name).values) } };
}

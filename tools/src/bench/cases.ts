/** The work that is timed beside PyTorch's: the same shapes, the same options as bench/torch_peer.py. */
export interface BenchCase {
  /** `bert-mini.lora.density.train.b16`. */
  readonly name: string;
  readonly size: keyof typeof SIZES;
  /** `decode`: greedy generation of 32 tokens. */
  readonly mode: "train" | "infer" | "decode";
  readonly method: "lora" | "adapter";
  readonly density: boolean;
  readonly batch: number;
  readonly seq: number;
  /** Frozen weights in bfloat16 on our side; the peer stays in float32. */
  readonly bf16?: boolean;
}

const bert = (layers: number, hidden: number, heads: number, intermediate: number) =>
  ({
    model_type: "bert", architectures: ["BertForSequenceClassification"], vocab_size: 30522, hidden_size: hidden, num_hidden_layers: layers, num_attention_heads: heads, intermediate_size: intermediate,
    hidden_act: "gelu", hidden_dropout_prob: 0, attention_probs_dropout_prob: 0, max_position_embeddings: 512, type_vocab_size: 2, initializer_range: 0.02, layer_norm_eps: 1e-12, pad_token_id: 0,
  }) as const;

/** The models' configurations. */
export const SIZES = {
  "bert-tiny": bert(2, 128, 2, 512),
  "bert-mini": bert(4, 256, 4, 1024),
  "bert-base": bert(12, 768, 12, 3072),
  "t5-small": {
    model_type: "t5", architectures: ["T5ForConditionalGeneration"], vocab_size: 32128, d_model: 512, d_kv: 64, d_ff: 2048, num_layers: 6, num_heads: 8, relative_attention_num_buckets: 32,
    dropout_rate: 0, layer_norm_epsilon: 1e-6, feed_forward_proj: "relu", pad_token_id: 0, decoder_start_token_id: 0, is_encoder_decoder: true,
  },
} as const;

/** Tokens of a T5 target, and tokens that are generated. */
export const TARGET = 32;

const train = (size: BenchCase["size"], method: BenchCase["method"], more: Partial<BenchCase> = {}): BenchCase => {
  const batch = more.batch ?? 16;
  const density = more.density ?? true;
  const name = `${size}.${method}${density ? ".density" : ""}.train.b${batch}${more.bf16 === true ? ".bf16" : ""}`;
  return { name, size, mode: "train", method, density, batch, seq: more.seq ?? 128, ...more };
};

const infer = (size: BenchCase["size"], batch: number, bf16 = false): BenchCase => ({
  name: `${size}.infer.b${batch}${bf16 ? ".bf16" : ""}`, size, mode: "infer", method: "lora", density: false, batch, seq: 128, bf16,
});

const decode = (bf16: boolean): BenchCase => ({ name: `t5-small.decode.b1${bf16 ? ".bf16" : ""}`, size: "t5-small", mode: "decode", method: "lora", density: false, batch: 1, seq: 128, bf16 });

/** Every row that the bench can give. */
export const CASES: readonly BenchCase[] = [
  train("bert-tiny", "lora", { batch: 32, seq: 32 }),
  train("bert-mini", "lora"),
  train("bert-mini", "lora", { density: false }),
  train("bert-mini", "adapter"),
  infer("bert-mini", 16),
  infer("bert-mini", 1),
  train("t5-small", "lora", { batch: 8 }),
  decode(false),
  decode(true),
  train("bert-base", "lora"),
  train("bert-base", "lora", { density: false }),
  train("bert-base", "adapter"),
  train("bert-base", "lora", { bf16: true }),
  infer("bert-base", 16),
  infer("bert-base", 1),
  infer("bert-base", 16, true),
];

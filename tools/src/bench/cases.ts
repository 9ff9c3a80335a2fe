/** The work that is timed beside PyTorch's: the same shapes, the same options as bench/torch_peer.py. */
export interface BenchCase {
  /** `bert-mini.lora.density.train.b16`. */
  readonly name: string;
<<<<<<< HEAD
  readonly size: keyof typeof SIZES;
  /** `decode`: greedy generation of 32 tokens. */
=======
  readonly kind: "bert" | "t5";
  readonly size: "tiny" | "mini" | "small" | "base";
  /** `decode`: greedy, `target` tokens. */
>>>>>>> 8b105f0 (Time T5's training step and greedy decoding beside PyTorch's)
  readonly mode: "train" | "infer" | "decode";
  readonly method: "lora" | "adapter";
  readonly density: boolean;
  readonly batch: number;
  readonly seq: number;
  /** Of T5: labels of an example, or tokens to decode. */
  readonly target?: number;
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
<<<<<<< HEAD
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
=======
  const name = `bert-${size}.${method}${density ? ".density" : ""}.train.b${batch}${more.bf16 === true ? ".bf16" : ""}`;
  return { name, kind: "bert", size, mode: "train", method, density, batch, seq: more.seq ?? 128, ...more };
};

const infer = (size: BenchCase["size"], batch: number, bf16 = false): BenchCase => ({
  name: `bert-${size}.infer.b${batch}${bf16 ? ".bf16" : ""}`, kind: "bert", size, mode: "infer", method: "lora", density: false, batch, seq: 128, bf16,
});

const t5 = (mode: "train" | "decode", batch: number, density = false): BenchCase => ({
  name: `t5-small.${mode === "train" ? `lora${density ? ".density" : ""}.train` : mode}.b${batch}`, kind: "t5", size: "small", mode, method: "lora", density, batch, seq: 128, target: 32,
});

/** L, H, A, I of BERT's sizes. */
export const BERT_SIZES = { tiny: [2, 128, 2, 512], mini: [4, 256, 4, 1024], base: [12, 768, 12, 3072] } as const;

/** Every row that the bench can give. */
export const CASES: readonly BenchCase[] = [
  train("tiny", "lora", { batch: 32, seq: 32 }),
  train("mini", "lora"),
  train("mini", "lora", { density: false }),
  train("mini", "adapter"),
  infer("mini", 16),
  infer("mini", 1),
  train("base", "lora"),
  train("base", "adapter"),
  train("base", "lora", { bf16: true }),
  infer("base", 16),
  infer("base", 1),
  infer("base", 16, true),
  t5("train", 8, true),
  t5("train", 8),
  t5("decode", 1),
  t5("decode", 8),
>>>>>>> 8b105f0 (Time T5's training step and greedy decoding beside PyTorch's)
];

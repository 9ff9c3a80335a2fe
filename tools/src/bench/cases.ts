/** The work that is timed beside PyTorch's: the same shapes, the same options as bench/torch_peer.py. */
export interface BenchCase {
  /** `bert-mini.lora.density.train.b16`. */
  readonly name: string;
  readonly size: "tiny" | "mini" | "base";
  readonly mode: "train" | "infer";
  readonly method: "lora" | "adapter";
  readonly density: boolean;
  readonly batch: number;
  readonly seq: number;
  /** Frozen weights in bfloat16 on our side; the peer stays in float32. */
  readonly bf16?: boolean;
}

const train = (size: BenchCase["size"], method: BenchCase["method"], more: Partial<BenchCase> = {}): BenchCase => {
  const batch = more.batch ?? 16;
  const density = more.density ?? true;
  const name = `bert-${size}.${method}${density ? ".density" : ""}.train.b${batch}${more.bf16 === true ? ".bf16" : ""}`;
  return { name, size, mode: "train", method, density, batch, seq: more.seq ?? 128, ...more };
};

const infer = (size: BenchCase["size"], batch: number, bf16 = false): BenchCase => ({
  name: `bert-${size}.infer.b${batch}${bf16 ? ".bf16" : ""}`, size, mode: "infer", method: "lora", density: false, batch, seq: 128, bf16,
});

/** L, H, A, I of the sizes. */
export const SIZES = { tiny: [2, 128, 2, 512], mini: [4, 256, 4, 1024], base: [12, 768, 12, 3072] } as const;

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
];

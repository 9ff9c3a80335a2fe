/** What the bench's processes run: models with random weights and batches as the peer makes them, without dropout. */
import { adamW, LOSS_TERM, MODEL_FAMILY, ops, TrainingStep, type Attachment, type HostBatch, type Kernel, type Model } from "@deft-js/core";
import { SIZES, TARGET, type BenchCase } from "./cases.ts";

/** Milliseconds before the first step that counts, two steps at least: the engine compiles what it has seen often. */
export const WARM_UP = 2000;

/** A frozen model of this size. */
export async function buildModel(kernel: Kernel, size: BenchCase["size"]): Promise<Model> {
  const config = SIZES[size];
  const family = kernel.create(MODEL_FAMILY, config.model_type);
  const head = config.model_type === "t5" ? "language-model" : "sequence-classification";
  const model = await family.build({ config, head, ...(head === "language-model" ? {} : { labels: 2 }), rng: new ops.Rng(0) });
  for (const variable of model.parameters().values()) variable.trainable = false;
  return model;
}

/** Random ids without padding, with labels where the case trains. */
export function randomBatch({ batch, seq, size, mode }: Pick<BenchCase, "batch" | "seq" | "size" | "mode">): HostBatch {
  const rng = new ops.Rng(1);
  const inputs = { size: batch, seq, inputIds: Int32Array.from({ length: batch * seq }, () => 1 + rng.integer(30_000)), attentionMask: new Float32Array(batch * seq).fill(1) };
  if (mode === "decode") return inputs;
  if (SIZES[size].model_type === "t5") return { ...inputs, labelSeq: TARGET, labels: Int32Array.from({ length: batch * TARGET }, () => 1 + rng.integer(30_000)) };
  return { ...inputs, labels: Int32Array.from({ length: batch }, () => rng.integer(2)) };
}

/** Options of a method as the peer has them. */
export const methodOptions = (method: BenchCase["method"]): Readonly<Record<string, unknown>> => (method === "lora" ? { rank: 8, alpha: 16 } : { placement: "pfeiffer", reductionFactor: 16 });

/** Training of an attachment and the head, with or without the density loss. */
export function trainingOf(kernel: Kernel, model: Model, { variables }: Pick<Attachment, "variables">, density: boolean): TrainingStep {
  return new TrainingStep({
    model,
    variables: [...variables, ...[...model.parameters()].filter(([name]) => name.startsWith("classifier")).map(([, variable]) => variable)],
    losses: density ? [kernel.create(LOSS_TERM, "density", { weight: 1, epsilon: 1e-7, padding: "include" })] : [],
    optimizer: adamW({ learningRate: 3e-4 }),
    totalSteps: 1000,
  });
}

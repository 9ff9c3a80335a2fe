/**
 * 10 000 training steps of a tiny model with LoRA and the density loss on the native back-end, in a process of its own, so that no other test's garbage counts; run with --expose-gc.
 * Prints `{backend, before, after, growth}`: what the engine holds after step 100 and at the end, and MiB that the resident memory grew by
 * from two fifths of the steps to the end, collected at every fifth, so that the heap has its working size.
 */
import { adamW, LOSS_TERM, MODEL_FAMILY, ops, PEFT_METHOD, TrainingStep, type HostBatch, type Kernel } from "@deft-js/core";
import { startKernel } from "../../src/kernel.ts";

const STEPS = 10_000;

const CONFIG = {
  model_type: "bert", architectures: ["BertForSequenceClassification"], vocab_size: 50, hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32,
  hidden_act: "gelu", hidden_dropout_prob: 0.1, attention_probs_dropout_prob: 0.1, max_position_embeddings: 16, type_vocab_size: 2, initializer_range: 0.02, layer_norm_eps: 1e-12, pad_token_id: 0,
};

async function tinyTraining(kernel: Kernel): Promise<TrainingStep> {
  const family = kernel.create(MODEL_FAMILY, "bert");
  const model = await family.build({ config: CONFIG, head: "sequence-classification", labels: 2, rng: new ops.Rng(0) });
  for (const variable of model.parameters().values()) variable.trainable = false;
  const attachment = kernel.create(PEFT_METHOD, "lora", { rank: 2, alpha: 4 }).attach(model, new ops.Rng(1));
  const losses = [kernel.create(LOSS_TERM, "density", { weight: 1, epsilon: 1e-3 })];
  return new TrainingStep({ model, variables: attachment.variables, losses, optimizer: adamW({ learningRate: 1e-4 }), totalSteps: STEPS, dropout: new ops.Rng(2) });
}

/** Batches of changing sizes, as the last batch of an epoch has. */
function batchOf(step: number): HostBatch {
  const rng = new ops.Rng(step);
  const [size, seq] = [2 + (step % 3), 6 + (step % 2)];
  return {
    size, seq, inputIds: Int32Array.from({ length: size * seq }, () => 1 + rng.integer(49)), attentionMask: new Float32Array(size * seq).fill(1),
    labels: Int32Array.from({ length: size }, () => rng.integer(2)),
  };
}

function resident(): number {
  globalThis.gc?.();
  return process.memoryUsage.rss() / 2 ** 20;
}

const { kernel, backend } = await startKernel("auto");
if (backend === "native") {
  const training = await tinyTraining(kernel);
  let before: unknown;
  const readings: number[] = [];
  for (let step = 0; step < STEPS; step++) {
    await training.step([batchOf(step)]);
    if (step === 99) before = ops.memory();
    if ((step + 1) % (STEPS / 5) === 0) readings.push(resident());
  }
  console.log(JSON.stringify({ backend, before, after: ops.memory(), growth: (readings[4] as number) - (readings[1] as number) }));
} else console.log(JSON.stringify({ backend }));

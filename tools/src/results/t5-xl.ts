/**
 * `… tools/src/results/t5-xl.ts write FOLDER` writes a random model of Flan-T5-XL's shape in bfloat16 shards (5.7 GB); `… load FOLDER [--format nf4]` loads it with its linear layers in a
 * weight format, runs a forward pass and a LoRA training step, and prints how long each took and the process's largest resident size after each.
 */
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { writeSafetensors } from "@deft-js/checkpoint";
import { adamW, batchTensors, MODEL_FAMILY, ops, PEFT_METHOD, TrainingStep, WEIGHT_FORMAT, type HostBatch, type Kernel, type ModelFamily, type StoredTensor } from "@deft-js/core";
import { loadModel } from "@deft-js/run";
import { startKernel } from "../kernel.ts";

/** google/flan-t5-xl's config.json, what decides its shape. */
const CONFIG = {
  model_type: "t5", architectures: ["T5ForConditionalGeneration"], vocab_size: 32128, d_model: 2048, d_kv: 64, d_ff: 5120, num_layers: 24, num_decoder_layers: 24, num_heads: 32,
  relative_attention_num_buckets: 32, relative_attention_max_distance: 128, feed_forward_proj: "gated-gelu", tie_word_embeddings: false, dropout_rate: 0.1, pad_token_id: 0, decoder_start_token_id: 0,
};
const SHARD_BYTES = 10 ** 9;

const { positionals: [mode, folder = ""], values: args } = parseArgs({ allowPositionals: true, options: { format: { type: "string", default: "nf4" } } });

function familyOf(kernel: Kernel): ModelFamily {
  const family = kernel.contributions(MODEL_FAMILY).map(({ id }) => kernel.create(MODEL_FAMILY, id)).find(({ modelTypes }) => modelTypes.includes("t5"));
  if (family === undefined) throw new Error("t5-xl: needs a plugin that builds T5, got none.");
  return family;
}

/** Random bfloat16 values with a deviation of 0.02, as many as asked for: one block over and over. */
function randomBytes(): (elements: number) => Uint8Array {
  const floats = new Uint16Array(new ops.Rng(1).normals(2 ** 20, 0.02).buffer).filter((_, i) => i % 2 === 1);
  return (elements) => {
    const out = new Uint16Array(elements);
    for (let at = 0; at < elements; at += floats.length) out.set(floats.subarray(0, Math.min(floats.length, elements - at)), at);
    return new Uint8Array(out.buffer);
  };
}

async function write(): Promise<void> {
  const { kernel } = await startKernel("native");
  const model = await familyOf(kernel).build({ config: CONFIG, head: "language-model", rng: new ops.Rng(0), absent: () => true });
  const bytesOf = randomBytes();
  const shards: StoredTensor[][] = [[]];
  let size = 0;
  for (const { name, shape } of model.exportParameters()) {
    const elements = shape.reduce((n, d) => n * d, 1);
    if (size > 0 && size + elements * 2 > SHARD_BYTES) [size] = [0, shards.push([])];
    size += elements * 2;
    shards.at(-1)?.push({ name, dtype: "BF16", shape, get bytes() { return bytesOf(elements); } });
  }
  const fileOf = (i: number): string => `model-${String(i + 1).padStart(5, "0")}-of-${String(shards.length).padStart(5, "0")}.safetensors`;
  await mkdir(folder, { recursive: true });
  for (const [i, tensors] of shards.entries()) await writeSafetensors(join(folder, fileOf(i)), tensors);
  const weight_map = Object.fromEntries(shards.flatMap((tensors, i) => tensors.map(({ name }) => [name, fileOf(i)])));
  await writeFile(join(folder, "model.safetensors.index.json"), JSON.stringify({ metadata: {}, weight_map }));
  await writeFile(join(folder, "config.json"), JSON.stringify(CONFIG));
  await copyFile(join(import.meta.dirname, "../../../../shared/data/t5.tokenizer.json"), join(folder, "tokenizer.json"));
}

let since = performance.now();
function told(what: string): void {
  console.log(`${what.padEnd(20)} ${((performance.now() - since) / 1000).toFixed(1).padStart(7)} s   peak ${(process.resourceUsage().maxRSS / 2 ** 20).toFixed(2)} GiB`);
  since = performance.now();
}

async function load(): Promise<void> {
  const { kernel } = await startKernel("native");
  told("start");
  const { model } = await loadModel(folder, { kernel, weights: kernel.create(WEIGHT_FORMAT, args.format) });
  const held = model.sites("linear").reduce((sum, { weight }) => sum + (weight?.bytes ?? 0), 0);
  const dense = model.sites("linear").reduce((sum, { dIn, dOut }) => sum + dIn * dOut * 4, 0);
  console.log(`linear layers: ${(held / 2 ** 30).toFixed(2)} GiB in ${args.format}, ${(dense / 2 ** 30).toFixed(2)} GiB in float32: ${(held / dense).toFixed(4)}`);
  told("load");
  const rng = new ops.Rng(2);
  const ids = (n: number): Int32Array => Int32Array.from({ length: n }, () => 1 + rng.integer(32_000));
  const host: HostBatch = { size: 4, seq: 64, inputIds: ids(256), attentionMask: new Float32Array(256).fill(1), labels: ids(32), labelSeq: 8 };
  const logits = ops.scope(() => ops.read(model.forward(batchTensors(host)).logits));
  if (!logits.every(Number.isFinite)) throw new Error("t5-xl: logits must be finite.");
  told("forward, 4 × 64 + 8");
  const attachment = kernel.create(PEFT_METHOD, "lora", { rank: 8, alpha: 16 }).attach(model, new ops.Rng(3));
  const training = new TrainingStep({ model, variables: attachment.variables, losses: [], optimizer: adamW({ learningRate: 3e-4 }), totalSteps: 10 });
  const { loss } = await training.step([host]);
  if (!Number.isFinite(loss)) throw new Error(`t5-xl: the loss must be finite, got ${loss}.`);
  told("LoRA training step");
}

if (folder === "" || (mode !== "write" && mode !== "load")) throw new Error("t5-xl: needs write or load, and a folder.");
await (mode === "write" ? write() : load());

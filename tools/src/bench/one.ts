/** One case in a process of its own: prints `{min_ms, median_ms, peak_rss_mb}`. Random weights, dropout off, as the peer does. */
import { adamW, batchTensors, LOSS_TERM, MODEL_FAMILY, ops, PEFT_METHOD, TrainingStep, type HostBatch, type Kernel, type Model } from "@deft-js/core";
import { startKernel } from "../kernel.ts";
import { SIZES, type BenchCase } from "./cases.ts";

type Work = BenchCase & { readonly iters: number; readonly backend: string };

async function buildModel(kernel: Kernel, { size }: Work): Promise<Model> {
  const [layers, hidden, heads, intermediate] = SIZES[size];
  const config = {
    model_type: "bert", architectures: ["BertForSequenceClassification"], vocab_size: 30522, hidden_size: hidden, num_hidden_layers: layers, num_attention_heads: heads, intermediate_size: intermediate,
    hidden_act: "gelu", hidden_dropout_prob: 0, attention_probs_dropout_prob: 0, max_position_embeddings: 512, type_vocab_size: 2, initializer_range: 0.02, layer_norm_eps: 1e-12, pad_token_id: 0,
  };
  const family = kernel.create(MODEL_FAMILY, kernel.contributions(MODEL_FAMILY)[0]?.id ?? "");
  const model = await family.build({ config, head: "sequence-classification", labels: 2, rng: new ops.Rng(0) });
  for (const variable of model.parameters().values()) variable.trainable = false;
  return model;
}

function randomBatch({ batch, seq }: Work): HostBatch {
  const rng = new ops.Rng(1);
  return {
    size: batch, seq, inputIds: Int32Array.from({ length: batch * seq }, () => 1 + rng.integer(30_000)), attentionMask: new Float32Array(batch * seq).fill(1),
    labels: Int32Array.from({ length: batch }, () => rng.integer(2)),
  };
}

/** What is repeated: a training step, or a forward pass whose logits are read. */
function repeated(kernel: Kernel, model: Model, work: Work): () => Promise<unknown> {
  const host = randomBatch(work);
  const options = work.method === "lora" ? { rank: 8, alpha: 16 } : { placement: "pfeiffer", reductionFactor: 16 };
  const attachment = kernel.create(PEFT_METHOD, work.method, options).attach(model, new ops.Rng(2));
  if (work.mode === "infer") return () => Promise.resolve(ops.scope(() => ops.read(model.forward(batchTensors(host)).logits)));
  const training = new TrainingStep({
    model,
    variables: [...attachment.variables, ...[...model.parameters()].filter(([name]) => name.startsWith("classifier")).map(([, variable]) => variable)],
    losses: work.density ? [kernel.create(LOSS_TERM, "density", { weight: 1, epsilon: 1e-7, padding: "include" })] : [],
    optimizer: adamW({ learningRate: 3e-4 }),
    totalSteps: 1000,
  });
  return () => training.step([host]);
}

const work = JSON.parse(process.argv[2] ?? "{}") as Work;
const { kernel } = await startKernel(work.backend, work.bf16 === true ? { precision: "bf16" } : {});
const step = repeated(kernel, await buildModel(kernel, work), work);
const times: number[] = [];
for (let i = 0; i < work.iters + 2; i++) {
  const started = performance.now();
  await step();
  if (i >= 2) times.push(performance.now() - started);
}
times.sort((a, b) => a - b);
console.log(JSON.stringify({ min_ms: times[0], median_ms: times[times.length >> 1], peak_rss_mb: Math.round(process.resourceUsage().maxRSS / 1024) }));

/** One case in a process of its own: prints `{min_ms, median_ms, peak_rss_mb}`. Random weights, dropout off, as the peer does. */
import { adamW, batchTensors, generate, LOSS_TERM, MODEL_FAMILY, ops, PEFT_METHOD, TrainingStep, type HostBatch, type Kernel, type Model } from "@deft-js/core";
import { startKernel } from "../kernel.ts";
import { SIZES, TARGET, type BenchCase } from "./cases.ts";

/** Milliseconds before the first step that counts, two steps at least: the engine compiles what it has seen often. */
const WARM_UP = 2000;

/** A case with how it is run. */
type Work = BenchCase & { readonly iters: number; readonly backend: string; readonly profile?: boolean };

async function buildModel(kernel: Kernel, { size }: Work): Promise<Model> {
  const config = SIZES[size];
  const family = kernel.create(MODEL_FAMILY, config.model_type);
  const head = config.model_type === "t5" ? "language-model" : "sequence-classification";
  const model = await family.build({ config, head, ...(head === "language-model" ? {} : { labels: 2 }), rng: new ops.Rng(0) });
  for (const variable of model.parameters().values()) variable.trainable = false;
  return model;
}

function randomBatch({ batch, seq, size, mode }: Work): HostBatch {
  const rng = new ops.Rng(1);
  const inputs = { size: batch, seq, inputIds: Int32Array.from({ length: batch * seq }, () => 1 + rng.integer(30_000)), attentionMask: new Float32Array(batch * seq).fill(1) };
  if (mode === "decode") return inputs;
  if (SIZES[size].model_type === "t5") return { ...inputs, labelSeq: TARGET, labels: Int32Array.from({ length: batch * TARGET }, () => 1 + rng.integer(30_000)) };
  return { ...inputs, labels: Int32Array.from({ length: batch }, () => rng.integer(2)) };
}

/** What is repeated: a training step, a forward pass whose logits are read, or a generation. */
function repeated(kernel: Kernel, model: Model, work: Work): () => Promise<unknown> {
  const host = randomBatch(work);
  const options = work.method === "lora" ? { rank: 8, alpha: 16 } : { placement: "pfeiffer", reductionFactor: 16 };
  const attachment = kernel.create(PEFT_METHOD, work.method, options).attach(model, new ops.Rng(2));
  if (work.mode === "decode") return () => generate(model, host, { maxNewTokens: TARGET, eos: [] });
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
const began = performance.now();
for (let i = 0; i < 2 || performance.now() - began < WARM_UP; i++) await step();
const times: number[] = [];
for (let i = 0; i < work.iters; i++) {
  const started = performance.now();
  await step();
  times.push(performance.now() - started);
}
if (work.profile === true) console.log(`${work.name}, one step of ${work.backend}\n${ops.profileTable(await ops.profileKernels(step))}`);
times.sort((a, b) => a - b);
console.log(JSON.stringify({ min_ms: times[0], median_ms: times[times.length >> 1], peak_rss_mb: Math.round(process.resourceUsage().maxRSS / 1024) }));

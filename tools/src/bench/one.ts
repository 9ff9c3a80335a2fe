/** One case in a process of its own: prints `{min_ms, median_ms, peak_rss_mb}`. Random weights, dropout off, as the peer does. */
import { batchTensors, generate, ops, PEFT_METHOD, type Kernel, type Model } from "@deft-js/core";
import { startKernel } from "../kernel.ts";
import { TARGET, type BenchCase } from "./cases.ts";
import { buildModel, methodOptions, randomBatch, trainingOf, WARM_UP } from "./work.ts";

/** A case with how it is run. */
type Work = BenchCase & { readonly iters: number; readonly backend: string; readonly profile?: boolean };

/** What is repeated: a training step, a forward pass whose logits are read, or a generation. */
function repeated(kernel: Kernel, model: Model, work: Work): () => Promise<unknown> {
  const host = randomBatch(work);
  const attachment = kernel.create(PEFT_METHOD, work.method, methodOptions(work.method)).attach(model, new ops.Rng(2));
  if (work.mode === "decode") return () => generate(model, host, { maxNewTokens: TARGET, eos: [] });
  if (work.mode === "infer") return () => Promise.resolve(ops.scope(() => ops.read(model.forward(batchTensors(host)).logits)));
  const training = trainingOf(kernel, model, attachment, work.density);
  return () => training.step([host]);
}

const work = JSON.parse(process.argv[2] ?? "{}") as Work;
const { kernel } = await startKernel(work.backend, work.bf16 === true ? { precision: "bf16" } : {});
const step = repeated(kernel, await buildModel(kernel, work.size), work);
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

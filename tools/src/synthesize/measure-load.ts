/**
 * `npm run measure-load -- FOLDER [--tokens 128] [--backend native]`: loads a T5 folder, runs one forward pass of so many
 * encoder tokens and 8 decoder tokens, and prints a JSON line of times and of memory: the weights as held, and the process's peak.
 */
import { parseArgs } from "node:util";
import { openModelFolder } from "@deft-js/checkpoint";
import { batchTensors, MODEL_FAMILY, ops, type HostBatch } from "@deft-js/core";
import { startKernel } from "../kernel.ts";

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { tokens: { type: "string", default: "128" }, backend: { type: "string", default: "native" } },
});
const seconds = (from: number): number => Number(((performance.now() - from) / 1000).toFixed(1));
const peakBytes = (): number => process.resourceUsage().maxRSS * 1024;

const { kernel } = await startKernel(values.backend);
const { config, source } = await openModelFolder(positionals[0] ?? ".");
const family = kernel.create(MODEL_FAMILY, String(config["model_type"]));
const before = performance.now();
const model = await family.build({ config, head: "language-model", source, rng: new ops.Rng(0) });
const loadSeconds = seconds(before);
const loadedPeak = peakBytes();
const weightBytes = [...model.parameters().values()].reduce((sum, { size }) => sum + 4 * size, 0);

const seq = Number(values.tokens);
const rng = new ops.Rng(1);
const labels = Int32Array.from({ length: 8 }, () => 2 + rng.integer(1000));
const host: HostBatch = { size: 1, seq, inputIds: Int32Array.from({ length: seq }, () => 2 + rng.integer(30_000)), attentionMask: new Float32Array(seq).fill(1), labels, labelSeq: labels.length };
const started = performance.now();
const logits = ops.scope(() => ops.read(model.forward(batchTensors(host)).logits));
const forwardSeconds = seconds(started);
if (!logits.every(Number.isFinite)) throw new Error("measure-load: the logits must be finite, got NaN or infinity.");
const gigabytes = (bytes: number): number => Number((bytes / 1e9).toFixed(2));
console.log(
  JSON.stringify({
    parameters: weightBytes / 4, weights_gb: gigabytes(weightBytes), load_s: loadSeconds, forward_s: forwardSeconds,
    peak_after_load_gb: gigabytes(loadedPeak), peak_gb: gigabytes(peakBytes()), peak_to_weights: Number((peakBytes() / weightBytes).toFixed(3)),
  }),
);

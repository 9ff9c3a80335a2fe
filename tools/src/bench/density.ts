/**
 * What the density loss costs, in a process of its own: LoRA's training steps of one model with and without it, in turns, so that a slow moment hits both. Prints
 * `{with_ms, without_ms, paired}`: the shortest steps, and 1 + median difference / median step without it, over the shortest steps of each turn, which no lucky moment decides.
 * Each turn begins with a step that does not count: it finds the memory as the other kind of step left it.
 */
import { ops, PEFT_METHOD } from "@deft-js/core";
import { startKernel } from "../kernel.ts";
import type { BenchCase } from "./cases.ts";
import { buildModel, methodOptions, randomBatch, trainingOf, WARM_UP } from "./work.ts";

interface Work {
  readonly size: BenchCase["size"];
  readonly batch: number;
  readonly seq: number;
  readonly turns: number;
  readonly backend: string;
}

const STEPS = 2; // that count, in a turn

const work = JSON.parse(process.argv[2] ?? "{}") as Work;
const { kernel } = await startKernel(work.backend);
const model = await buildModel(kernel, work.size);
const host = randomBatch({ ...work, mode: "train" });
const attachment = kernel.create(PEFT_METHOD, "lora", methodOptions("lora")).attach(model, new ops.Rng(2));
const kinds = [true, false].map((density) => ({ training: trainingOf(kernel, model, attachment, density), shortest: [] as number[] }));

/** Each kind's shortest step that counts. */
async function turn(): Promise<void> {
  for (const { training, shortest } of kinds) {
    let least = Infinity;
    for (let i = -1; i < STEPS; i++) {
      const started = performance.now();
      await training.step([host]);
      if (i >= 0) least = Math.min(least, performance.now() - started);
    }
    shortest.push(least);
  }
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] as number;

const began = performance.now();
do await turn();
while (performance.now() - began < WARM_UP);
for (const { shortest } of kinds) shortest.length = 0;
for (let i = 0; i < work.turns; i++) await turn();
const [on, off] = kinds.map(({ shortest }) => shortest) as [number[], number[]];
const paired = 1 + median(on.map((ms, i) => ms - (off[i] as number))) / median(off);
console.log(JSON.stringify({ with_ms: Math.min(...on), without_ms: Math.min(...off), paired }));

/**
 * What the density loss costs, in a process of its own: LoRA's training steps of one model with and without it, in turns, so that a slow moment hits both. Prints
 * `{with_ms, without_ms}`, the shortest steps. Each turn begins with a step that does not count: it finds the memory as the other kind of step left it.
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
const kinds = [true, false].map((density) => ({ training: trainingOf(kernel, model, attachment, density), least: Infinity }));

async function turn(counts: boolean): Promise<void> {
  for (const kind of kinds)
    for (let i = -1; i < STEPS; i++) {
      const started = performance.now();
      await kind.training.step([host]);
      if (counts && i >= 0) kind.least = Math.min(kind.least, performance.now() - started);
    }
}

const began = performance.now();
do await turn(false);
while (performance.now() - began < WARM_UP);
for (let i = 0; i < work.turns; i++) await turn(true);
const [on, off] = kinds.map(({ least }) => least);
console.log(JSON.stringify({ with_ms: on, without_ms: off }));

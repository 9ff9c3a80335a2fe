/**
 * `npx tsx … tools/src/results/t5.ts [--json FILE] [--only PATTERN] [--keep FOLDER]`: the small ReLU T5 on SST-2 as text-to-text and on the SQuAD subset, LoRA and Houlsby adapters,
 * without (PEFT) and with (DEFT) the density loss: the task's metrics on unseen text, densities of encoder and decoder.
 */
import { join, resolve } from "node:path";
import { change, markdown, measureRows, options, percent, SHARED, sst2, type Content, type Rows } from "./rows.ts";

/**
 * The methods, the rate at which each learns, and its density loss: an adapter has few parameters before the decoder's activations, so that the decoder's mean counts fourfold, and ε comes down while the loss
 * is on, so that large activations are drawn, too.
 */
const METHODS = {
  LoRA: { peft: { lora: { rank: 16, alpha: 32, target: "\\.(q|k|v|o|wi|wo)$" } }, learningRate: 1e-3, density: { epsilon: 1e-4 } },
  adapter: { peft: { adapter: { placement: "houlsby", reductionFactor: 4 } }, learningRate: 3e-3, density: { epsilon: { kind: "geometric", from: 1e-2, to: 1e-4, start: 0.4, end: 0.9 }, decoderWeight: 4 } },
} as const;

/** The density loss comes in once the task is learned. */
const WEIGHT = { kind: "linear", from: 0, to: 1, start: 0.4, end: 0.5 } as const;

const TASKS = {
  "SST-2": { task: sst2({ format: "text-to-text" }), epochs: 3, batchSize: 32, shown: ["accuracy"] },
  SQuAD: { task: { squad: { train: join(resolve(options.data), "squad2.subset.json"), evaluationFraction: 0.34 } }, epochs: 6, batchSize: 16, shown: ["exactMatch", "f1"] },
} as const;

function recipe(task: keyof typeof TASKS, method: keyof typeof METHODS, density: boolean): Content {
  const { peft, learningRate, density: chosen } = METHODS[method];
  const { task: data, epochs, batchSize } = TASKS[task];
  const finetune = {
    task: data, peft, losses: density ? [{ density: { weight: WEIGHT, ...chosen } }] : [], optimizer: { adamw: { learningRate, warmupRatio: 0.06 } }, clipNorm: 1, dropout: false, epochs, batchSize, evaluateEvery: "never",
  };
  return { model: join(SHARED, "checkpoints/t5-mini"), stages: [{ finetune }, { evaluate: {} }], seed: 42 };
}

const names = Object.keys(TASKS).flatMap((task) => Object.keys(METHODS).flatMap((method) => [false, true].map((density) => ({ task, method, density }) as { task: keyof typeof TASKS; method: keyof typeof METHODS; density: boolean })));
const nameOf = (task: string, method: string, density: boolean): string => `${task} ${method} ${density ? "DEFT" : "PEFT"}`;

function table(rows: Rows): string {
  const lines = names.flatMap(({ task, method, density }) => {
    const row = rows[nameOf(task, method, density)];
    if (row === undefined) return [];
    const before = density ? rows[nameOf(task, method, false)]?.reports.density : undefined;
    const { encoder, decoder } = row.reports.density;
    return [[
      task, method, density ? "DEFT" : "PEFT", TASKS[task].shown.map((metric) => percent(row.metrics[metric])).join(" / "),
      percent(encoder?.exact), percent(decoder?.exact), change(before?.encoder?.exact, encoder?.exact), change(before?.decoder?.exact, decoder?.exact),
    ]];
  });
  return markdown(["task", "method", "training", "accuracy, or exact match / F1", "encoder density", "decoder density", "encoder, change", "decoder, change"], lines);
}

const recipes = Object.fromEntries(names.map(({ task, method, density }) => [nameOf(task, method, density), recipe(task, method, density)]));
console.log(table(await measureRows(recipes, "runs/t5.json")));

/**
 * `npx tsx … tools/src/results/gates.ts [--json FILE] [--only PATTERN] [--keep FOLDER]`: the three gate strategies of ADA-DEFT with LoRA: SST-2 with the small ReLU BERT, the SQuAD
 * subset with the small ReLU T5; then a plan within one point, and the metrics, densities and gates with the planned blocks skipped.
 */
import { join, resolve } from "node:path";
import { markdown, measureRows, options, percent, SHARED, sst2, type Content, type Rows } from "./rows.ts";

const STRATEGIES = ["scalar", "sigmoid", "hard-concrete"] as const;

const TASKS = {
  "SST-2": { model: "bert-mini-relu", task: sst2(), lora: { rank: 8, alpha: 16 }, training: { epochs: 1, batchSize: 32, optimizer: { adamw: { learningRate: 3e-4, warmupRatio: 0.06 } } }, shown: ["accuracy"] },
  SQuAD: {
    model: "t5-mini", task: { squad: { train: join(resolve(options.data), "squad2.subset.json"), evaluationFraction: 0.34 } }, lora: { rank: 16, alpha: 32, target: "\\.(q|k|v|o|wi|wo)$" },
    training: { epochs: 6, batchSize: 16, clipNorm: 1, dropout: false, evaluateEvery: "never", optimizer: { adamw: { learningRate: 1e-3, warmupRatio: 0.06 } } }, shown: ["exactMatch", "f1"],
  },
} as const;

function recipe(name: keyof typeof TASKS, strategy: (typeof STRATEGIES)[number]): Content {
  const { model, task, lora, training } = TASKS[name];
  const finetune = { task, peft: [{ lora }, { gates: { strategy } }], losses: [{ "gated-density": { weight: 1, blockCost: 0.1 } }], ...training };
  return { model: join(SHARED, "checkpoints", model), stages: [{ finetune }, { gate: { budget: { points: 1 } } }, { evaluate: {} }], seed: 42 };
}

function table(rows: Rows): string {
  const lines = Object.entries(TASKS).flatMap(([name, { shown }]) =>
    STRATEGIES.flatMap((strategy) => {
      const row = rows[`${name} ${strategy}`];
      if (row === undefined) return [];
      const gates = row.reports.gates?.layers ?? [];
      const skipped = gates.filter(({ skipped }) => skipped === true).length;
      const { encoder, decoder } = row.reports.density;
      return [[name, strategy, shown.map((metric) => percent(row.metrics[metric])).join(" / "), `${skipped} of ${gates.length}`, gates.map(({ gate }) => gate.toFixed(3)).join(", "), percent(encoder?.exact), percent(decoder?.exact)]];
    }),
  );
  return markdown(["task", "strategy", "accuracy, or exact match / F1", "blocks skipped", "gates", "encoder density", "decoder density"], lines);
}

const recipes = Object.fromEntries(Object.keys(TASKS).flatMap((name) => STRATEGIES.map((strategy) => [`${name} ${strategy}`, recipe(name as keyof typeof TASKS, strategy)])));
console.log(table(await measureRows(recipes, "runs/gates.json")));

/**
 * `npx tsx … tools/src/results/gates.ts [--json FILE] [--only PATTERN] [--keep FOLDER] [--adapter FOLDER]`: the three gate strategies of ADA-DEFT: SST-2 with the small ReLU BERT and
 * the SQuAD subset with the small ReLU T5, LoRA beside the gates and a plan within one point; and, going on from an adapter of the T5 on SST-2 (t5.ts leaves one), gates alone and a plan
 * of two blocks in three. Metrics and densities are those with the planned blocks skipped.
 */
import { join, resolve } from "node:path";
import { markdown, measureRows, options, percent, SHARED, sst2, type Content, type Rows } from "./rows.ts";

const STRATEGIES = ["scalar", "sigmoid", "hard-concrete"] as const;

/** Gates learn faster than LoRA: Adam moves each by about the learning rate a step. */
const adamw = (learningRate: number, factor: number): object => ({ adamw: { learningRate, warmupRatio: 0.06, rates: [{ parameters: "gate$", factor }] } });
const checkpoint = (name: string): string => join(SHARED, "checkpoints", name);

const TASKS = {
  "SST-2, BERT": {
    model: checkpoint("bert-mini-relu"), task: sst2(), peft: [{ lora: { rank: 8, alpha: 16 } }], epsilon: 1e-7, budget: { points: 1 },
    training: { epochs: 1, batchSize: 32, optimizer: adamw(3e-4, 20) }, shown: ["accuracy"],
  },
  "SQuAD, T5": {
    model: checkpoint("t5-mini"), task: { squad: { train: join(resolve(options.data), "squad2.subset.json"), evaluationFraction: 0.34 } },
    peft: [{ lora: { rank: 16, alpha: 32, target: "\\.(q|k|v|o|wi|wo)$" } }], epsilon: 1e-4, budget: { points: 1 },
    training: { epochs: 6, batchSize: 16, clipNorm: 1, dropout: false, evaluateEvery: "never", optimizer: adamw(1e-3, 20) }, shown: ["exactMatch", "f1"],
  },
  "SST-2, T5 after DEFT": {
    model: { path: checkpoint("t5-mini"), adapter: options.adapter ?? "" }, task: sst2({ format: "text-to-text" }), peft: [], epsilon: 1e-4, budget: { blocks: 4 },
    training: { maxSteps: 600, batchSize: 32, clipNorm: 1, dropout: false, evaluateEvery: "never", optimizer: adamw(5e-4, 50) }, shown: ["accuracy"],
  },
} as const;

function recipe(name: keyof typeof TASKS, strategy: (typeof STRATEGIES)[number]): Content {
  const { model, task, peft, epsilon, budget, training } = TASKS[name];
  const finetune = { task, peft: [...peft, { gates: { strategy } }], losses: [{ "gated-density": { weight: 1, epsilon, blockCost: 0.1 } }], ...training };
  return { model, stages: [{ finetune }, { gate: { budget } }, { evaluate: {} }], seed: 42 };
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

const names = Object.keys(TASKS).filter((name) => options.adapter !== undefined || !name.endsWith("after DEFT"));
const recipes = Object.fromEntries(names.flatMap((name) => STRATEGIES.map((strategy) => [`${name} ${strategy}`, recipe(name as keyof typeof TASKS, strategy)])));
console.log(table(await measureRows(recipes, "runs/gates.json")));

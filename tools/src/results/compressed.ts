/**
 * `npx tsx … tools/src/results/compressed.ts [--json FILE] [--only PATTERN]`: SST-2 on compressed bases, each with LoRA alone (PEFT) and with the density loss beside it (DEFT):
 * accuracy on dev, density, and how far DEFT's relative reduction lies from that on the dense base.
 */
import { join } from "node:path";
import { bases } from "./bases.ts";
import { markdown, measureRows, percent, SHARED, sst2, type Content, type Rows } from "./rows.ts";

const task = sst2();
const BASES = bases(task);
const KINDS = ["PEFT", "DEFT"] as const;

function recipe(base: Content["stages"], density: boolean): Content {
  const losses = density ? [{ density: { weight: 1, epsilon: 1e-7 } }] : [];
  const finetune = { task, peft: { lora: { rank: 8, alpha: 16 } }, losses, optimizer: { adamw: { learningRate: 3e-4, warmupRatio: 0.06 } }, epochs: 1, batchSize: 32 };
  return { model: join(SHARED, "checkpoints/bert-mini-relu"), stages: [...base, { finetune }, { evaluate: {} }], seed: 42 };
}

function table(rows: Rows): string {
  const density = (base: string, kind: string): number => rows[`${base} ${kind}`]?.reports.density.encoder?.exact ?? NaN;
  const reduction = (base: string): number => 1 - density(base, "DEFT") / density(base, "PEFT");
  const lines = Object.keys(BASES).flatMap((base) =>
    KINDS.flatMap((kind) => {
      const row = rows[`${base} ${kind}`];
      if (row === undefined) return [];
      const { exact, exactIncludingPadding } = row.reports.density.encoder ?? {};
      const compared = kind === "DEFT" ? [`−${percent(reduction(base))}`, `${((reduction(base) - reduction("dense")) * 100).toFixed(2)} points`] : ["", ""];
      return [[base, kind, percent(row.metrics["accuracy"]), percent(exact), percent(exactIncludingPadding), ...compared]];
    }),
  );
  return markdown(["base", "training", "accuracy", "density, padding excluded", "included", "change of density", "against dense"], lines);
}

const recipes = Object.fromEntries(Object.entries(BASES).flatMap(([base, stages]) => KINDS.map((kind) => [`${base} ${kind}`, recipe(stages, kind === "DEFT")])));
console.log(table(await measureRows(recipes, "runs/compressed.json")));

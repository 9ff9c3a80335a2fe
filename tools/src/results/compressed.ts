/**
 * `npx tsx … tools/src/results/compressed.ts [--only PATTERN] [--json FILE] [--max-train N] [--model PATH] [--data PATH]`: SST-2 on compressed bases, each with LoRA alone (PEFT) and
 * with the density loss beside it (DEFT): accuracy on dev, density, and how far DEFT's relative reduction lies from that on the dense base. Runs that the JSON file already
 * holds are not repeated.
 */
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { runRecipe } from "@deft-js/run";
import { bases } from "./bases.ts";

const SHARED = join(import.meta.dirname, "../../../../shared");

const { values: args } = parseArgs({
  options: {
    only: { type: "string", default: "" }, json: { type: "string", default: "runs/compressed.json" }, "max-train": { type: "string" },
    model: { type: "string", default: join(SHARED, "checkpoints/bert-mini-relu") }, data: { type: "string", default: join(SHARED, "data") },
  },
});

interface Row {
  readonly accuracy: number;
  /** Shares of neurons that are not exactly 0, padding excluded and included. */
  readonly density: number;
  readonly densityWithPadding: number;
  readonly seconds: number;
}

interface Evaluated {
  readonly evaluations: Readonly<Record<string, { metrics: { accuracy: number }; reports: { density: { encoder: { exact: number; exactIncludingPadding: number } } } }>>;
}

const task = { glue: { name: "sst2", path: resolve(args.data), maxLength: 64, ...(args["max-train"] === undefined ? {} : { maxTrain: Number(args["max-train"]) }) } };
const BASES = bases(task);

/** One run in a folder of its own, which goes when it is done. */
async function measure(stages: readonly Record<string, unknown>[], density: boolean): Promise<Row> {
  const folder = await mkdtemp(join(tmpdir(), "deft-compressed-"));
  const finetune = { task, peft: { lora: { rank: 8, alpha: 16 } }, losses: density ? [{ density: { weight: 1, epsilon: 1e-7 } }] : [], optimizer: { adamw: { learningRate: 3e-4, warmupRatio: 0.06 } }, epochs: 1, batchSize: 32 };
  const started = Date.now();
  try {
    const content = { model: resolve(args.model), stages: [...stages, { finetune }, { evaluate: {} }], seed: 42, output: join(folder, "run") };
    const { metrics } = await runRecipe({ content, folder: join(import.meta.dirname, "../../..") });
    const { metrics: { accuracy }, reports } = (metrics["evaluate"] as Evaluated).evaluations["dev"] as Evaluated["evaluations"][string];
    return { accuracy, density: reports.density.encoder.exact, densityWithPadding: reports.density.encoder.exactIncludingPadding, seconds: (Date.now() - started) / 1000 };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const percent = (share: number): string => `${(share * 100).toFixed(2)} %`;

function table(rows: Readonly<Record<string, Row>>): string {
  const reductionOf = (base: string): number => 1 - (rows[`${base} deft`]?.density ?? NaN) / (rows[`${base} peft`]?.density ?? NaN);
  const dense = reductionOf("dense");
  const lines = Object.keys(BASES).flatMap((base) =>
    (["peft", "deft"] as const).flatMap((kind) => {
      const row = rows[`${base} ${kind}`];
      if (row === undefined) return [];
      const reduction = kind === "deft" ? `−${percent(reductionOf(base))} | ${((reductionOf(base) - dense) * 100).toFixed(2)} points` : " | ";
      return [`| ${base} | ${kind.toUpperCase()} | ${percent(row.accuracy)} | ${percent(row.density)} | ${percent(row.densityWithPadding)} | ${reduction} |`];
    }),
  );
  return ["| base | training | accuracy | density, padding excluded | included | change of density | against dense |", "|---|---|---|---|---|---|---|", ...lines].join("\n");
}

const rows: Record<string, Row> = existsSync(args.json) ? (JSON.parse(await readFile(args.json, "utf8")) as Record<string, Row>) : {};
for (const [base, stages] of Object.entries(BASES))
  for (const kind of ["peft", "deft"]) {
    const name = `${base} ${kind}`;
    if (rows[name] !== undefined || !new RegExp(args.only).test(name)) continue;
    rows[name] = await measure(stages, kind === "deft");
    console.log(`${name}: ${JSON.stringify(rows[name])}`);
    await writeFile(args.json, `${JSON.stringify(rows, null, 2)}\n`);
  }
console.log(table(rows));

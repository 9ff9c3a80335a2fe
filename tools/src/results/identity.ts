/**
 * `… tools/src/results/identity.ts [--adapter CASE=FOLDER]… [--only PATTERN] [--limit ROWS] [--json FILE]`: whether exact sparse execution, skipping wherever there is a zero, predicts what the
 * dense model predicts, row by row: classes of a classifier, ids that a language model generates; with the largest difference of a logit and the largest logit (of a language
 * model in the teacher-forced pass). Each case runs without an adapter, and with each that is named for it.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { batchTensors, EXECUTION, formOf, generate, ops, TASK, type Execution, type HostBatch, type Model, type Split } from "@deft-js/core";
import { loadModel } from "@deft-js/run";
import { startKernel } from "../kernel.ts";

const SHARED = join(import.meta.dirname, "../../../../shared");
const { values: args } = parseArgs({ options: { adapter: { type: "string", multiple: true, default: [] }, only: { type: "string", default: "" }, limit: { type: "string" }, json: { type: "string", default: "runs/identity.json" } } });

const limits = args.limit === undefined ? {} : { maxEvaluation: Number(args.limit) };
const sst2 = { name: "sst2", path: join(SHARED, "data"), maxLength: 64, maxTrain: 64, ...limits };
const CASES: Readonly<Record<string, { readonly model: string; readonly task: readonly [id: string, options: object] }>> = {
  "bert-mini-relu on SST-2": { model: "bert-mini-relu", task: ["glue", sst2] },
  "t5-mini on SST-2": { model: "t5-mini", task: ["glue", { ...sst2, format: "text-to-text" }] },
  "t5-mini on SQuAD": { model: "t5-mini", task: ["squad", { train: join(SHARED, "data/squad2.subset.json"), evaluationFraction: 0.34, maxTrain: 64, ...limits }] },
};

interface Row {
  readonly rows: number;
  /** Rows with another class, or other generated ids. */
  readonly changed: number;
  readonly largestDifference: number;
  /** The largest magnitude of a logit. */
  readonly largestLogit: number;
  /** Mean share of neurons that are not 0, and the share of down-projections' calls that skipped the others. */
  readonly density: number;
  readonly skipped: number;
}

const BATCH = 32;
/** Skipping at any density: what is compared is never the dense product with itself. */
const ALWAYS = [{ rows: 1, density: 1 }];

const logits = (model: Model, host: HostBatch): Float32Array => ops.scope(() => ops.read(model.forward(batchTensors(host)).logits));

/** Calls the body densely and with the execution in force. */
async function both<T>(model: Model, execution: Execution, totals: Totals, body: () => Promise<T> | T): Promise<readonly [T, T]> {
  const dense = await body();
  const installed = await execution.install(model, { rng: new ops.Rng(1) });
  const sparse = await body();
  for (const { calls, skipped, density } of installed.report()["layers"] as { calls: number; skipped: number; density: number | null }[]) {
    totals.calls += calls;
    totals.skipped += skipped;
    totals.density += (density ?? 0) * calls;
  }
  installed.uninstall();
  return [dense, sparse];
}

interface Totals {
  calls: number;
  skipped: number;
  density: number;
}

function classes(values: Float32Array, rows: number): readonly number[] {
  const width = values.length / rows;
  return Array.from({ length: rows }, (_, row) => {
    const own = values.subarray(row * width, (row + 1) * width);
    return own.indexOf(Math.max(...own));
  });
}

async function compare(model: Model, split: Split, execution: Execution): Promise<Row> {
  const totals: Totals = { calls: 0, skipped: 0, density: 0 };
  let [rows, changed, largestDifference, largestLogit] = [0, 0, 0, 0];
  for (const host of split.batches({ batchSize: BATCH, form: formOf(model) })) {
    const [dense, sparse] = await both(model, execution, totals, () => logits(model, host));
    for (const [i, value] of dense.entries()) {
      largestDifference = Math.max(largestDifference, Math.abs(value - (sparse[i] ?? NaN)));
      largestLogit = Math.max(largestLogit, Math.abs(value));
    }
    const said = split.generation === undefined ? [classes(dense, host.size), classes(sparse, host.size)] : await both(model, execution, totals, async () => (await generate(model, host, split.generation?.options ?? {})).ids);
    changed += (said[0] ?? []).filter((one, row) => JSON.stringify(one) !== JSON.stringify(said[1]?.[row])).length;
    rows += host.size;
  }
  return { rows, changed, largestDifference, largestLogit, density: totals.density / totals.calls, skipped: totals.skipped / totals.calls };
}

const { kernel } = await startKernel("native");
const results: Record<string, Row> = {};
for (const [name, { model: folder, task: [id, options] }] of Object.entries(CASES)) {
  const adapters = args.adapter.filter((one) => one.startsWith(`${name}=`)).map((one) => one.slice(name.length + 1));
  for (const adapter of [undefined, ...adapters]) {
    const label = adapter === undefined ? `${name}, no adapter` : `${name}, ${adapter.split("/").filter((part) => part !== "" && part !== "adapter").at(-1)}`;
    if (!new RegExp(args.only).test(label)) continue;
    const task = kernel.create(TASK, id, options);
    const { model, tokenizer } = await loadModel(join(SHARED, "checkpoints", folder), { kernel, adapter, head: task.head, labels: 2 });
    const { evaluation: [split] } = await task.open({ tokenizer, rng: new ops.Rng(1) });
    if (split !== undefined) results[label] = await compare(model, split, kernel.create(EXECUTION, "sparse", { breakEven: ALWAYS }));
    model.dispose();
    console.log(`${label}: ${JSON.stringify(results[label])}`);
    await writeFile(args.json, `${JSON.stringify(results, null, 2)}\n`);
  }
}
process.exit(0); // the back-end's threads would keep it alive

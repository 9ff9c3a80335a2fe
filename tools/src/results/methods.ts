/**
 * `npx tsx … tools/src/results/methods.ts [--json FILE] [--only PATTERN] [--threads N]`: every PEFT method on every architecture on plain sentences of the demo's language, alone (PEFT)
 * and with the density loss beside it (DEFT): density before and after, and accuracy. The models are made first (`small-models.ts`). The tables
 * are printed and take the place of those in docs/density-by-method.md.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeTask } from "../demo/data.ts";
import { INVOLVED, PLAIN } from "../demo/generate.ts";
import { change, markdown, measureRows, percent, type Content, type Row, type Rows } from "./rows.ts";
import { SMALL_MODELS, smallModel } from "./small-models.ts";

const PAGE = join(import.meta.dirname, "../../../docs/density-by-method.md");
const MARK = "<!-- what follows is written by the script -->";
const HERE = join(import.meta.dirname, "../../../runs/methods");

/** A method's options, and a learning rate at which it learns the task in few steps. */
const METHODS: Readonly<Record<string, { readonly peft: Readonly<Record<string, unknown>>; readonly learningRate: number; readonly notOn?: readonly string[] }>> = {
  LoRA: { peft: { lora: { rank: 8, alpha: 32 } }, learningRate: 2e-3 },
  DoRA: { peft: { dora: { rank: 8, alpha: 32 } }, learningRate: 2e-3 },
  IA3: { peft: { ia3: {} }, learningRate: 2e-2 },
  BitFit: { peft: { bitfit: {} }, learningRate: 5e-3, notOn: ["T5", "Flan-T5"] },
  "Pfeiffer adapters": { peft: { adapter: { placement: "pfeiffer", reductionFactor: 4 } }, learningRate: 2e-3 },
  "Houlsby adapters": { peft: { adapter: { placement: "houlsby", reductionFactor: 4 } }, learningRate: 2e-3 },
  "Prompt tuning": { peft: { prompt: { virtualTokens: 10 } }, learningRate: 3e-2 },
  "Prefix tuning": { peft: { prefix: { virtualTokens: 10 } }, learningRate: 1e-2 },
};

/** ε of the density loss, which counts what is above √ε softly. gelu_new has no exact zeros at these values: there ε is as wide as what is reported, the share |a| > √ε. */
const epsilonOf = (architecture: string): number => (SMALL_MODELS[architecture]?.gated === true ? 1e-2 : 1e-4);

/** A task of an architecture: a head classifies, a language model generates a word. */
function taskOf(architecture: string, folder: string): Readonly<Record<string, unknown>> {
  const { words } = SMALL_MODELS[architecture] as (typeof SMALL_MODELS)[string];
  return { text: { train: join(folder, "train.csv"), evaluation: join(folder, "dev.csv"), text: "text", label: "opinion", labels: ["0", "1"], maxLength: 64, ...(words === undefined ? {} : { words }) } };
}

/** The recipes of an architecture: the model as it is, then each method alone and with the density loss. */
function recipesOf(architecture: string, model: string): Readonly<Record<string, Content>> {
  const task = taskOf(architecture, join(HERE, "involved"));
  const evaluate = { task, meters: [{ density: { thresholds: [Math.sqrt(epsilonOf(architecture))] } }] };
  const tuned = Object.entries(METHODS).filter(([, { notOn = [] }]) => !notOn.includes(architecture)).flatMap(([method, { peft, learningRate }]) => {
    const finetune = { task, peft, optimizer: { adamw: { learningRate, warmupRatio: 0.06 } }, clipNorm: 1, dropout: false, maxSteps: 600, batchSize: 32, evaluateEvery: "never", saveEvery: 10_000 };
    return [["PEFT", []], ["DEFT", [{ density: { weight: 1, epsilon: epsilonOf(architecture) } }]]].map(([kind, losses]) => [`${architecture} ${method} ${kind as string}`, { model, stages: [{ finetune: { ...finetune, losses } }, { evaluate }], seed: 42 }] as const);
  });
  return { [`${architecture} before`]: { model, stages: [{ evaluate }], seed: 42 }, ...Object.fromEntries(tuned) };
}

const STACKS = ["encoder", "decoder"] as const;

/** Density by stack: of exact non-zeros, or of |a| > √ε where the activation has no exact zeros. */
function densities(architecture: string, row: Row | undefined): readonly number[] {
  return STACKS.flatMap((stack) => {
    const shares = row?.reports.density[stack] ?? undefined;
    const share = SMALL_MODELS[architecture]?.gated === true ? shares?.thresholded[0]?.share : shares?.exact;
    return share === undefined ? [] : [share];
  });
}

/** A line for every method: encoder / decoder where there are both. */
function table(architecture: string, rows: Rows): string {
  const before = densities(architecture, rows[`${architecture} before`]);
  const lines = Object.entries(METHODS).map(([method, { notOn = [] }]) => {
    if (notOn.includes(architecture)) return [method, "not defined: the architecture has no biases", "", "", "", "", ""];
    const [peft, deft] = [rows[`${architecture} ${method} PEFT`], rows[`${architecture} ${method} DEFT`]];
    const [alone, sparse] = [densities(architecture, peft), densities(architecture, deft)];
    const shown = [before, alone, sparse].map((shares) => shares.map(percent).join(" / "));
    return [method, ...shown, alone.map((share, i) => change(share, sparse[i])).join(" / "), percent(peft?.metrics["accuracy"]), percent(deft?.metrics["accuracy"])];
  });
  return `### ${architecture}\n\n${markdown(["method", "before", "PEFT", "DEFT", "change", "accuracy, PEFT", "DEFT"], lines)}`;
}

await writeTask({ folder: join(HERE, "plain"), style: PLAIN, dev: 400 });
await writeTask({ folder: join(HERE, "involved"), style: INVOLVED, dev: 400 });
const tables: string[] = [];
for (const architecture of Object.keys(SMALL_MODELS)) {
  const model = await smallModel(architecture, { folder: join(HERE, "models"), task: taskOf(architecture, join(HERE, "plain")) });
  tables.push(table(architecture, await measureRows(recipesOf(architecture, model), join(HERE, "methods.json"))));
}
console.log(tables.join("\n\n"));
const text = await readFile(PAGE, "utf8");
await writeFile(PAGE, `${text.slice(0, text.indexOf(MARK) + MARK.length)}\n\n${tables.join("\n\n")}\n`);

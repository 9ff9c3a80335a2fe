/**
 * `… tools/src/results/skipping-xl.ts FOLDER [--json FILE] [--skip 32] [--encoder 0.468] [--decoder 0.094] [--tokens 128] [--generate 8] [--rounds 2] [--points FILE]`: a random T5 of a published
 * shape (`npm run synthesize`) with LoRA, run densely, by exact sparse execution, with a plan of skipped MLP blocks, and with both. Each variant's largest resident size over loading, a
 * forward pass and greedy decoding comes from a process of its own; the times from one process in which the variants take turns, since a machine's speed changes from
 * minute to minute: the shortest of the rounds.
 *
 * Densities are imposed by a constant taken from the gates' (or the up-projections') pre-activations, laid on the one row so that the asked share of activations is not exactly 0.
 * Every variant has it. By default they are the most that arXiv:2402.01911 allows for Flan-T5-XXL: its encoder and decoder densities fell by 53.19 % and 90.60 %, so that
 * they are at most 46.81 % and 9.40 %. `--points` names a file of options of `sparse`: break-even points measured before.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { EXECUTION, generate, ops, PEFT_METHOD, type Kernel, type ModelConfig } from "@deft-js/core";
import { startKernel } from "../kernel.ts";
import { densities, forward, imposedModel, plannedBlocks, type Imposed } from "./imposed-model.ts";

const { positionals: [folder = ""], values: args } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "string", default: "runs/skipping-xl.json" }, part: { type: "string" }, skip: { type: "string", default: "32" }, encoder: { type: "string", default: "0.4681" }, decoder: { type: "string", default: "0.0940" },
    tokens: { type: "string", default: "128" }, generate: { type: "string", default: "8" }, rounds: { type: "string", default: "2" }, points: { type: "string" },
  },
});

interface Variant {
  readonly plan: boolean;
  readonly sparse: boolean;
}

const VARIANTS: Readonly<Record<string, Variant>> = { "PEFT dense": { plan: false, sparse: false }, "DEFT sparse": { plan: false, sparse: true }, "ADA-DEFT": { plan: true, sparse: false }, "ADA-DEFT + sparse": { plan: true, sparse: true } };
const TIMES = "times";

interface Memory {
  readonly load_s: number;
  readonly peak_gb: number;
  readonly weights_gb: number;
}

interface Times {
  /** Of one row of --tokens encoder tokens and 8 decoder tokens. */
  readonly forward_s: number;
  /** Of greedy decoding of --generate tokens from such a row, the encoder's pass included. */
  readonly generate_s: number;
}

interface Results {
  readonly memory: Record<string, Memory>;
  times?: { readonly density: Readonly<Record<string, number>>; readonly variants: Readonly<Record<string, Times>> };
}

const gigabytes = (bytes: number): number => Number((bytes / 1e9).toFixed(3));

async function seconds(body: () => unknown): Promise<number> {
  const from = performance.now();
  await body();
  return Number(((performance.now() - from) / 1000).toFixed(3));
}

/** The model; `planned` blocks' matrices are not read. */
async function load(kernel: Kernel, planned: boolean): Promise<Imposed> {
  const skip = planned ? await plan() : [];
  const made = await imposedModel({ folder, kernel, skip, tokens: Number(args.tokens), density: { encoder: Number(args.encoder), decoder: Number(args.decoder) } });
  console.error(`loaded in ${made.seconds.toFixed(1)} s`);
  return made;
}

async function plan(): Promise<ReturnType<typeof plannedBlocks>> {
  return plannedBlocks(JSON.parse(await readFile(join(folder, "config.json"), "utf8")) as ModelConfig, Number(args.skip));
}

const decode = ({ model, host }: Imposed): Promise<unknown> => generate(model, host, { maxNewTokens: Number(args.generate), eos: [] });

/** Exact sparse execution, with the points that are named or measured ones. */
async function sparse(kernel: Kernel, { model }: Imposed): Promise<() => void> {
  const options = args.points === undefined ? {} : (JSON.parse(await readFile(args.points, "utf8")) as object);
  const installed = await kernel.create(EXECUTION, "sparse", options).install(model, { rng: new ops.Rng(3) });
  return () => installed.uninstall();
}

async function memoryOf(variant: Variant): Promise<Memory> {
  const { kernel } = await startKernel("native");
  const made = await load(kernel, variant.plan);
  if (variant.sparse) await sparse(kernel, made);
  forward(made.model, made.host);
  await decode(made);
  const weights = made.model.sites("linear").reduce((sum, { weight }) => sum + (weight?.bytes ?? 0), 0);
  return { load_s: Number(made.seconds.toFixed(1)), peak_gb: gigabytes(process.resourceUsage().maxRSS * 1024), weights_gb: gigabytes(weights) };
}

/** The variants in turns on one model that holds every block: what a plan passes over is not run, by the same hook as where it was not read. */
async function times(): Promise<Results["times"]> {
  const { kernel } = await startKernel("native");
  const made = await load(kernel, false);
  const density = densities(made.model, made.host);
  const skip = await plan();
  const least: Record<string, Times> = {};
  for (let round = 0; round < Number(args.rounds); round++)
    for (const sparsely of [false, true]) {
      const undo = sparsely ? await sparse(kernel, made) : () => undefined;
      for (const [name, variant] of Object.entries(VARIANTS)) {
        if (variant.sparse !== sparsely) continue;
        const gates = variant.plan ? kernel.create(PEFT_METHOD, "gates", { strategy: "scalar", skip }).attach(made.model, new ops.Rng(2)) : undefined;
        const now = { forward_s: await seconds(() => forward(made.model, made.host)), generate_s: await seconds(() => decode(made)) };
        gates?.detach();
        const before = least[name] ?? now;
        least[name] = { forward_s: Math.min(before.forward_s, now.forward_s), generate_s: Math.min(before.generate_s, now.generate_s) };
        console.error(`${name}: ${JSON.stringify(now)}`);
      }
      undo();
    }
  return { density, variants: least };
}

function table({ memory, times: measured }: Results): string {
  const dense = "PEFT dense";
  const cell = (of: (name: string) => number | undefined, unit: string) => (name: string): string => {
    const [mine, first] = [of(name), of(dense)];
    return mine === undefined || first === undefined ? "–" : `${mine.toFixed(2)} ${unit}${name === dense ? "" : ` (${(100 * (1 - mine / first)).toFixed(1)} % saved)`}`;
  };
  const columns = [cell((name) => measured?.variants[name]?.forward_s, "s"), cell((name) => measured?.variants[name]?.generate_s, "s"), cell((name) => memory[name]?.peak_gb, "GB")];
  const lines = Object.keys(VARIANTS).map((name) => `| ${[name, ...columns.map((column) => column(name))].join(" | ")} |`);
  return ["| variant | forward pass | greedy decoding | peak memory |", "|---|---|---|---|", ...lines].join("\n");
}

/** One part in a process of its own; it prints its result as the last line. */
function apart(part: string): unknown {
  const { stdout, status } = spawnSync(process.execPath, [...process.execArgv, ...process.argv.slice(1), "--part", part], { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  if (status !== 0) throw new Error(`skipping-xl: ${part} must end with a result, got exit code ${status}.`);
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
}

/** Parts that the JSON file already holds are not repeated. */
async function main(): Promise<void> {
  const results: Results = existsSync(args.json) ? (JSON.parse(await readFile(args.json, "utf8")) as Results) : { memory: {} };
  const save = (): Promise<void> => writeFile(args.json, `${JSON.stringify(results, null, 2)}\n`);
  for (const name of Object.keys(VARIANTS)) {
    results.memory[name] ??= apart(name) as Memory;
    await save();
  }
  results.times ??= apart(TIMES) as NonNullable<Results["times"]>;
  await save();
  console.log(table(results));
}

const { part } = args;
if (part === undefined) await main();
else {
  console.log(JSON.stringify(part === TIMES ? await times() : await memoryOf(VARIANTS[part] as Variant)));
  process.exit(0); // the back-end's threads would keep it alive
}

import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { runRecipe } from "@deft-js/run";

/** The checkpoints and data sets that lie beside the repository. */
export const SHARED = join(import.meta.dirname, "../../../../shared");

/** A stack's densities: means over its layers. */
export interface Density {
  /** Share of neurons that are not exactly 0, padding excluded and included. */
  readonly exact: number;
  readonly exactIncludingPadding: number;
  /** Shares |a| > τ, padding excluded. */
  readonly thresholded: readonly { readonly threshold: number; readonly share: number }[];
}

/** What a recipe's last `evaluate` measured on its first split. */
export interface Row {
  readonly metrics: Readonly<Record<string, number>>;
  readonly reports: {
    readonly density: { readonly encoder?: Density | null; readonly decoder?: Density | null };
    readonly gates?: { readonly layers: readonly { readonly path: string; readonly gate: number; readonly skipped?: boolean }[] };
  };
  readonly seconds: number;
}

/** Rows by name. */
export type Rows = Readonly<Record<string, Row>>;

/** Content of a recipe without its output: its last stage is `evaluate`. */
export type Content = Readonly<Record<string, unknown>> & { readonly stages: readonly Readonly<Record<string, unknown>>[] };

/** Options that every script of results has: `--json FILE`, where finished rows are kept and not run again; `--only PATTERN`; `--keep FOLDER` for the run folders; `--max-train N`; `--threads N`; `--adapter FOLDER`, which a script may go on from. */
export const { values: options } = parseArgs({
  options: { json: { type: "string" }, only: { type: "string", default: "" }, keep: { type: "string" }, "max-train": { type: "string" }, threads: { type: "string" }, adapter: { type: "string" }, data: { type: "string", default: join(SHARED, "data") } },
});

/** SST-2 as the tables use it: the whole training set, 64 tokens at most. */
export function sst2(more: Readonly<Record<string, unknown>> = {}): { readonly glue: Readonly<Record<string, unknown>> } {
  return { glue: { name: "sst2", path: resolve(options.data), maxLength: 64, ...(options["max-train"] === undefined ? {} : { maxTrain: Number(options["max-train"]) }), ...more } };
}

/** A recipe's back-end where `--threads` asks for one. */
export function backend(): { readonly backend?: unknown } {
  return options.threads === undefined ? {} : { backend: { native: { threads: Number(options.threads) } } };
}

/** Runs the recipes whose rows are not in the file yet, one after the other, and keeps each as soon as it is there. */
export async function measureRows(recipes: Readonly<Record<string, Content>>, defaultJson: string): Promise<Rows> {
  const json = options.json ?? defaultJson;
  const rows: Record<string, Row> = existsSync(json) ? (JSON.parse(await readFile(json, "utf8")) as Record<string, Row>) : {};
  const wanted = new RegExp(options.only);
  for (const [name, content] of Object.entries(recipes)) {
    if (rows[name] !== undefined || !wanted.test(name)) continue;
    rows[name] = await measure(name, content);
    console.log(`${name}: ${JSON.stringify(rows[name].metrics)} ${JSON.stringify(rows[name].reports.density)}`);
    await mkdir(dirname(json), { recursive: true });
    await writeFile(json, `${JSON.stringify(rows, null, 2)}\n`);
  }
  return rows;
}

/** One run, in a folder that goes when it is done unless it is to be kept. */
async function measure(name: string, content: Content): Promise<Row> {
  const folder = options.keep === undefined ? await mkdtemp(join(tmpdir(), "deft-results-")) : resolve(options.keep);
  const output = join(folder, name.replace(/[^\w.-]+/g, "-"));
  const started = Date.now();
  try {
    const { metrics } = await runRecipe({ content: { ...backend(), ...content, output }, folder: join(import.meta.dirname, "../../..") });
    const { evaluations } = metrics["evaluate"] as { readonly evaluations: Readonly<Record<string, Omit<Row, "seconds">>> };
    const [first] = Object.values(evaluations);
    if (first === undefined) throw new Error(`results: ${name} must evaluate a split, got none.`);
    return { metrics: first.metrics, reports: first.reports, seconds: Math.round((Date.now() - started) / 1000) };
  } finally {
    if (options.keep === undefined) await rm(folder, { recursive: true, force: true });
  }
}

/** `12.34 %`. */
export const percent = (share: number | undefined): string => (share === undefined ? "" : `${(share * 100).toFixed(2)} %`);

/** `−89.73 %`: the relative change of a density. */
export function change(from: number | undefined, to: number | undefined): string {
  if (from === undefined || to === undefined) return "";
  return `${to <= from ? "−" : "+"}${(Math.abs(1 - to / from) * 100).toFixed(1)} %`;
}

/** A Markdown table. */
export function markdown(head: readonly string[], lines: readonly (readonly string[])[]): string {
  return [head, head.map(() => "---"), ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

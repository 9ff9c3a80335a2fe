import { printable, textTable, type Column } from "./text-table.ts";

/** What a bench of a checkpoint gives: plain JSON. */
export interface BenchReport {
  readonly backend: string;
  readonly rows: readonly BenchRow[];
  readonly leftOut: readonly { readonly variant: string; readonly why: string }[];
  readonly approximate: readonly string[];
  readonly held: readonly string[];
  readonly profiles: Readonly<Record<string, string>>;
  /** What quality was measured on; absent without a task. */
  readonly quality?: { readonly task: string; readonly split: string; readonly metric: string; readonly rows: number };
  /** What the executions report, by variant. */
  readonly reports?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** A row of the report. */
export interface BenchRow {
  readonly variant: string;
  readonly batch: number;
  readonly ms: number;
  readonly ratio: number;
  readonly tokens_per_second?: number;
  readonly peak_rss_mb: number;
  readonly quality?: number;
  readonly changed?: number;
}

/** A row for each variant and batch size, with tokens per second where there are any and quality where it was measured; then what is to be known of it. */
export function benchTable(report: BenchReport): string[] {
  const { rows, leftOut, held } = report;
  const optional = [
    { title: "tokens/s", of: ({ tokens_per_second: rate }: BenchRow) => rate?.toFixed(1) },
    { title: "peak MB", of: ({ peak_rss_mb: peak }: BenchRow) => String(peak) },
    { title: report.quality?.metric ?? "quality", of: ({ quality }: BenchRow) => (quality === undefined ? undefined : percent(quality)) },
    { title: "changed", of: ({ changed }: BenchRow) => changed?.toString() },
  ].filter(({ of }) => rows.some((row) => of(row) !== undefined));
  const columns: Column[] = [{ title: "variant" }, ...["batch", "ms", "ratio", ...optional.map(({ title }) => title)].map((title) => ({ title, align: "right" as const }))];
  const cells = rows.map((row) => [row.variant, String(row.batch), row.ms.toFixed(2), row.ratio.toFixed(2), ...optional.map(({ of }) => of(row) ?? "–")]);
  return [
    ...textTable(columns, cells),
    ...about(report),
    ...predictorLines(report),
    ...(held.length > 0 ? [`the folder holds weights as ${held.join(", ")}: dense and the executions run on those`] : []),
    ...leftOut.map(({ variant, why }) => printable(`left out ${variant}: ${why}`)),
  ];
}

function about({ backend, approximate, quality }: BenchReport): string[] {
  const ids = quality === undefined ? "random ids" : `${quality.task}'s texts one after another`;
  return [
    `on ${backend}, ${ids}; ratio: time / dense, smaller is better`,
    ...(quality === undefined ? [] : [`${quality.metric} on ${quality.rows} rows of ${quality.split}; changed: rows with another prediction than dense`]),
    ...(approximate.length > 0 ? [`not the dense outputs${quality === undefined ? ", quality not measured" : ""}: ${approximate.join(", ")}`] : []),
  ];
}

/** What trained predictors find, as the mean over layers. */
function predictorLines({ reports = {} }: BenchReport): string[] {
  return Object.entries(reports).flatMap(([variant, { layers }]) => {
    const found = (Array.isArray(layers) ? (layers as { predictor?: { recall: number; computed: number; active: number } }[]) : []).flatMap(({ predictor }) => predictor ?? []);
    const mean = (key: "recall" | "computed" | "active"): string => percent(found.reduce((sum, one) => sum + one[key], 0) / found.length);
    return found.length === 0 ? [] : [`${variant}: finds ${mean("recall")} of the active neurons (${mean("active")} of all), computes ${mean("computed")}; means over layers`];
  });
}

const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;

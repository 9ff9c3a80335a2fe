import { printable, textTable, type Column } from "./text-table.ts";

/** What a bench of a checkpoint gives: plain JSON. */
export interface BenchReport {
  readonly backend: string;
  readonly rows: readonly { readonly variant: string; readonly batch: number; readonly ms: number; readonly ratio: number; readonly tokens_per_second?: number; readonly peak_rss_mb: number }[];
  readonly leftOut: readonly { readonly variant: string; readonly why: string }[];
  readonly approximate: readonly string[];
  readonly held: readonly string[];
  readonly profiles: Readonly<Record<string, string>>;
}

/** Lines of a table, a row for each variant and batch size, with tokens per second where there are any; then what is to be known of it. */
export function benchTable({ backend, rows, leftOut, approximate, held }: BenchReport): string[] {
  const generates = rows.some((row) => row.tokens_per_second !== undefined);
  const titles = ["batch", "ms", "ratio", ...(generates ? ["tokens/s"] : []), "peak MB"];
  const columns: Column[] = [{ title: "variant" }, ...titles.map((title) => ({ title, align: "right" as const }))];
  const cells = rows.map(({ variant, batch, ms, ratio, tokens_per_second: rate, peak_rss_mb: peak }) => [variant, String(batch), ms.toFixed(2), ratio.toFixed(2), ...(generates ? [rate?.toFixed(1) ?? "–"] : []), String(peak)]);
  return [
    ...textTable(columns, cells),
    `on ${backend}, random ids; ratio: time / dense, smaller is better`,
    ...(approximate.length > 0 ? [`not the dense outputs, quality not measured: ${approximate.join(", ")}`] : []),
    ...(held.length > 0 ? [`the folder holds weights as ${held.join(", ")}: dense and the executions run on those`] : []),
    ...leftOut.map(({ variant, why }) => printable(`left out ${variant}: ${why}`)),
  ];
}

import { percent } from "./numbers.ts";
import { textTable } from "./text-table.ts";

/** Shares of neurons as fractions, of real positions alone and with padded ones. */
export interface DensityShares {
  readonly exact: number;
  readonly exactIncludingPadding: number;
  readonly thresholded: readonly { readonly threshold: number; readonly share: number; readonly shareIncludingPadding: number }[];
}

/** The density meter's report: plain JSON. */
export interface DensityReport {
  readonly examples: number;
  readonly layers: readonly (DensityShares & { readonly stack: string; readonly layer: number })[];
  readonly encoder: DensityShares | null;
  readonly decoder: DensityShares | null;
  readonly padding: { readonly positions: number; readonly padded: number };
}

/** Whether a meter's report is the density meter's. */
export function isDensityReport(value: unknown): value is DensityReport {
  const report = value as Partial<DensityReport> | null | undefined;
  return typeof report === "object" && report !== null && Array.isArray(report.layers) && report.layers.every(isShares) && [report.encoder, report.decoder].every((stack) => stack === null || isShares(stack)) && typeof report.padding === "object";
}

/**
 * Lines of a table by layer, in per cent of neurons: those that are not exactly 0 and those with |a| > τ, for real positions
 * and with padded ones counted in; then the means of each stack.
 */
export function densityTable(report: DensityReport): string[] {
  const thresholds = (report.layers[0]?.thresholded ?? []).map(({ threshold }) => threshold);
  const titles = ["≠ 0", ...thresholds.map((threshold) => `|a| > ${threshold}`)];
  const columns = ["layer", ...titles, ...titles.map((title) => `${title}, padding in`)].map((title, i) => ({ title, align: i === 0 ? ("left" as const) : ("right" as const) }));
  const rows = report.layers.map((shares) => [`${shares.stack} ${shares.layer}`, ...cells(shares)]);
  for (const stack of ["encoder", "decoder"] as const) {
    const mean = report[stack];
    if (mean !== null) rows.push([`${stack}, mean`, ...cells(mean)]);
  }
  const { positions, padded } = report.padding;
  return [...textTable(columns, rows), `in per cent of neurons; ${report.examples} examples, ${positions} positions, ${percent(positions > 0 ? padded / positions : 0)} % of them padding`];
}

/** The means over all layers of both stacks; undefined where there is none. */
export function meanDensity({ layers }: DensityReport): { readonly exact: number; readonly exactIncludingPadding: number } | undefined {
  if (layers.length === 0) return undefined;
  const mean = (pick: (shares: DensityShares) => number): number => layers.reduce((sum, shares) => sum + pick(shares), 0) / layers.length;
  return { exact: mean((s) => s.exact), exactIncludingPadding: mean((s) => s.exactIncludingPadding) };
}

function cells({ exact, exactIncludingPadding, thresholded }: DensityShares): string[] {
  return [percent(exact), ...thresholded.map(({ share }) => percent(share)), percent(exactIncludingPadding), ...thresholded.map((t) => percent(t.shareIncludingPadding))];
}

function isShares(value: unknown): boolean {
  const shares = value as Partial<DensityShares> | null | undefined;
  return typeof shares === "object" && shares !== null && typeof shares.exact === "number" && typeof shares.exactIncludingPadding === "number" && Array.isArray(shares.thresholded);
}

import type { GateReading, Gates } from "./gates.ts";

/** One block that was tried without. */
export interface Trial {
  readonly path: string;
  /** The metric with this block and those skipped before it passed over. */
  readonly metric: number;
  readonly skipped: boolean;
}

/** What a search for blocks to skip may spend and how it measures. */
export interface SearchOptions {
  /** How much worse the metric may become, as a fraction. */
  readonly allowed: number;
  /** Blocks that may be skipped at most. */
  readonly blocks: number;
  /** The metric with all blocks. */
  readonly before: number;
  /** How much worse a value is than `before`, as a fraction; negative when it is better. */
  worse(metric: number): number;
  /** The metric as the model stands. */
  measure(): Promise<number>;
}

/** Float64 sums of a metric's counts may differ by this. */
const ROUNDING = 1e-12;

/** Blocks that are not skipped yet, from the smallest |gate| on; equal ones in the model's order. */
export function weakestFirst(gates: Pick<Gates, "readings">): readonly GateReading[] {
  return gates.readings().filter(({ skipped }) => !skipped).sort((a, b) => Math.abs(a.gate) - Math.abs(b.gate));
}

/**
 * Greedy search: block after block, weakest gate first, is passed over together with those before it; it stays out when the metric is no more than `allowed`
 * worse than at the start, and comes back otherwise. The model is as before afterwards.
 */
export async function searchBlocks(gates: Pick<Gates, "readings" | "passOver">, { allowed, blocks, before, worse, measure }: SearchOptions): Promise<{ readonly after: number; readonly trials: readonly Trial[] }> {
  const undos: (() => void)[] = [];
  const trials: Trial[] = [];
  let after = before;
  try {
    for (const { path } of weakestFirst(gates)) {
      if (undos.length >= blocks) break;
      undos.push(gates.passOver(path));
      const metric = await measure();
      const skipped = worse(metric) <= allowed + ROUNDING;
      trials.push({ path, metric, skipped });
      if (skipped) after = metric;
      else undos.pop()?.();
    }
  } finally {
    for (const undo of undos) undo();
  }
  return { after, trials };
}

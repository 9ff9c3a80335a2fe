/** The suite `sparse`: the skipping down-projection beside our own dense one, ops and all, over matrices in turn so that none is warm in the cache. */
import { ops } from "@deft-js/core";
import { breakEvenOf, measureBreakEven, type BreakEven } from "@deft-js/plugin-sparse-execution";

/** One row of the suite; the peer is our own dense product of the same input. */
export interface SparseRow {
  /**
   * `sparse-down.3072x768.t1.d05`: sizes, tokens, per cent of neurons that are active; zeros are skipped whatever it costs. `sparse-exec.…`: as the execution `sparse` runs it,
   * which counts and chooses by break-even points that it has measured.
   */
  readonly name: string;
  readonly ours_ms: number;
  readonly peer_ms: number;
  readonly ratio: number;
}

/** Sizes with the tokens that they are measured at. */
const SHAPES = [
  { dIn: 3072, dOut: 768, tokens: [1, 8, 128, 1024] },
  { dIn: 2048, dOut: 512, tokens: [1, 8, 128, 1024] },
  { dIn: 10240, dOut: 4096, tokens: [1, 128] },
] as const;
const DENSITIES = [0.01, 0.03, 0.05, 0.1, 0.2, 0.4] as const;
/** Matrices in turn hold so many bytes together: more than the last cache of most processors. */
const ROTATED_BYTES = 128 << 20;
/** Passes through all matrices, at least, and milliseconds for one row: short products need many passes until the engine has compiled what it runs. */
const [PASSES, BUDGET] = [6, 2000];

/** Times the suite's rows whose names match, one at a time, on the back-end that runs. */
export function* sparseRows(only: RegExp | undefined): Generator<SparseRow> {
  for (const { dIn, dOut, tokens } of SHAPES) {
    const wanted = KINDS.flatMap((kind) => tokens.flatMap((rows) => DENSITIES.map((density) => ({ kind, rows, dIn, density, name: nameOf(kind, { dIn, dOut, rows, density }) })))).filter(({ name }) => only?.test(name) ?? true);
    if (wanted.length === 0) continue;
    const weights = matrices(dIn, dOut);
    const measuredPoints = wanted.some(({ kind }) => kind === "sparse-exec") ? breakEvenOf(measureBreakEven(weights.map((weight) => weight.value))) : skipAlways;
    for (const { kind, ...row } of wanted) yield measured(row, weights, kind === "sparse-exec" ? measuredPoints : skipAlways);
    for (const weight of weights) weight.dispose();
  }
}

const KINDS = ["sparse-down", "sparse-exec"] as const;
const skipAlways: BreakEven = () => 1;

interface Input {
  readonly rows: number;
  readonly dIn: number;
  readonly density: number;
}

function nameOf(kind: (typeof KINDS)[number], { dIn, dOut, rows, density }: Input & { dOut: number }): string {
  return `${kind}.${dIn}x${dOut}.t${rows}.d${String(Math.round(100 * density)).padStart(2, "0")}`;
}

function matrices(dIn: number, dOut: number): ops.Variable[] {
  const rng = new ops.Rng(1);
  const count = Math.max(2, Math.ceil(ROTATED_BYTES / (4 * dIn * dOut)));
  return Array.from({ length: count }, (_, i) => ops.Variable.from(`w${i}`, rng.uniforms(dIn * dOut, 0.05), [dIn, dOut], { trainable: false }));
}

function measured({ name, rows, dIn, density }: Input & { readonly name: string }, weights: readonly ops.Variable[], breakEvenAt: BreakEven): SparseRow {
  const rng = new ops.Rng(rows);
  const input = ops.Variable.from("x", Float32Array.from({ length: rows * dIn }, () => (rng.uniform() < density ? rng.uniform() + 0.1 : 0)), [rows, dIn]);
  const x = input.value;
  const breakEven = breakEvenAt(rows);
  const onDecision = breakEvenAt === skipAlways ? undefined : (): void => undefined; // the execution reads each decision
  const skipping = (weight: ops.Variable): ops.Tensor => (breakEven === 0 ? dense(weight) : ops.sparseLinear(x, weight.value, { frozen: true, breakEven, onDecision }));
  const dense = (weight: ops.Variable): ops.Tensor => ops.linear(x, weight.value, { frozen: true });
  const [ours, peer] = inTurns(weights, [skipping, dense]);
  input.dispose();
  const round = (value: number): number => Number(value.toPrecision(5));
  return { name, ours_ms: round(ours), peer_ms: round(peer), ratio: round(ours / peer) };
}

/**
 * Milliseconds of a call of each: the least that it took on each matrix, averaged. The calls take turns, so that a slow moment hits both; no matrix is used twice in a
 * row, so that each comes from memory, as in a model.
 */
function inTurns(weights: readonly ops.Variable[], calls: readonly [Call, Call]): [number, number] {
  const least = calls.map(() => weights.map(() => Infinity));
  const began = performance.now();
  for (let pass = 0; pass < PASSES || performance.now() - began < BUDGET; pass++)
    for (const [i, call] of calls.entries())
      for (const [j, weight] of weights.entries()) {
        const started = performance.now();
        ops.scope(() => void call(weight)); // a result that left the scope would live on, and every call would take fresh memory
        const row = least[i] as number[];
        row[j] = Math.min(row[j] as number, performance.now() - started);
      }
  return least.map((row) => row.reduce((sum, ms) => sum + ms, 0) / row.length) as [number, number];
}

type Call = (weight: ops.Variable) => ops.Tensor;

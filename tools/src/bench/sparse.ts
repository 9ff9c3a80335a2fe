/** The suite `sparse`: the skipping down-projection beside our own dense one, ops and all, over matrices in turn so that none is warm in the cache. */
import { ops } from "@deft-js/core";
import { breakEvenOf, measureBreakEven } from "@deft-js/plugin-sparse-execution";

/** One row of the suite; the peer is our own dense product of the same input. */
export interface SparseRow {
  /**
   * `sparse-down.3072x768.t1.d05`: sizes, tokens, per cent of neurons that are active; zeros are skipped whatever it costs. `sparse-exec.…`: as the execution `sparse` runs it,
   * which counts and chooses by break-even points that it has measured. `sparse-gemv.…`: the peer is a dense product of a matrix and a vector that reads W once, row by row: the
   * skipping kernel on a vector without zeros.
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
const TIMED = { passes: 6, milliseconds: 2000 } as const;

/** Times the suite's rows whose names match, one at a time, on the back-end that runs. */
export function* sparseRows(only: RegExp | undefined): Generator<SparseRow> {
  for (const { dIn, dOut, tokens } of SHAPES) {
    const wanted = KINDS.flatMap((kind) => tokens.flatMap((rows) => DENSITIES.map((density) => ({ kind, rows, dIn, density, name: nameOf(kind, { dIn, dOut, rows, density }) }))))
      .filter(({ kind, rows, name }) => (kind !== "sparse-gemv" || rows === 1) && (only?.test(name) ?? true));
    if (wanted.length === 0) continue;
    const variables = matrices(dIn, dOut);
    const weights = variables.map((variable) => variable.value);
    const breakEven = wanted.some(({ kind }) => kind === "sparse-exec") ? breakEvenOf(measureBreakEven(weights)) : () => 1;
    for (const row of wanted) yield measured(row, weights, breakEven(row.rows));
    for (const variable of variables) variable.dispose();
  }
}

const KINDS = ["sparse-down", "sparse-exec", "sparse-gemv"] as const;

interface Case {
  readonly kind: (typeof KINDS)[number];
  readonly name: string;
  readonly rows: number;
  readonly dIn: number;
  readonly density: number;
}

function nameOf(kind: Case["kind"], { dIn, dOut, rows, density }: Omit<Case, "kind" | "name"> & { dOut: number }): string {
  return `${kind}.${dIn}x${dOut}.t${rows}.d${String(Math.round(100 * density)).padStart(2, "0")}`;
}

function matrices(dIn: number, dOut: number): ops.Variable[] {
  const rng = new ops.Rng(1);
  const count = Math.max(2, Math.ceil(ROTATED_BYTES / (4 * dIn * dOut)));
  return Array.from({ length: count }, (_, i) => ops.Variable.from(`w${i}`, rng.uniforms(dIn * dOut, 0.05, ops.hostArray(dIn * dOut)), [dIn, dOut], { trainable: false }));
}

function measured({ kind, name, rows, dIn, density }: Case, weights: readonly ops.Tensor[], breakEven: number): SparseRow {
  const rng = new ops.Rng(rows);
  const input = (share: number): ops.Variable => ops.Variable.from("x", Float32Array.from({ length: rows * dIn }, () => (rng.uniform() < share ? rng.uniform() + 0.1 : 0)), [rows, dIn]);
  const x = input(density);
  const full = kind === "sparse-gemv" ? input(1) : undefined;
  const dense = (weight: ops.Tensor): ops.Tensor => ops.linear(x.value, weight, { frozen: true });
  const skipping = ({ value }: ops.Variable) => (weight: ops.Tensor): ops.Tensor => ops.sparseLinear(value, weight, { frozen: true, breakEven: 1 });
  const executed = (weight: ops.Tensor): ops.Tensor => (breakEven === 0 ? dense(weight) : ops.sparseLinear(x.value, weight, { frozen: true, breakEven, onDecision: () => undefined }));
  const calls = [kind === "sparse-exec" ? executed : skipping(x), full === undefined ? dense : skipping(full)];
  const [ours = NaN, peer = NaN] = ops.timeInTurns(weights, calls, TIMED);
  for (const variable of [x, full]) variable?.dispose();
  const round = (value: number): number => Number(value.toPrecision(5));
  return { name, ours_ms: round(ours), peer_ms: round(peer), ratio: round(ours / peer) };
}

/** The suite `sparse`: the skipping down-projection beside our own dense one, ops and all, over matrices in turn so that none is warm in the cache. */
import { ops } from "@deft-js/core";

/** One row of the suite; the peer is our own dense product of the same input. */
export interface SparseRow {
  /** `sparse-down.3072x768.t1.d05`: sizes, tokens, per cent of neurons that are active. */
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

/** Times the suite's rows whose names match, one at a time, on the back-end that runs. */
export function* sparseRows(only: RegExp | undefined): Generator<SparseRow> {
  for (const { dIn, dOut, tokens } of SHAPES) {
    const wanted = tokens.flatMap((count) => DENSITIES.map((density) => ({ count, density, name: nameOf({ dIn, dOut, count, density }) }))).filter(({ name }) => only === undefined || only.test(name));
    if (wanted.length === 0) continue;
    const weights = matrices(dIn, dOut);
    for (const { count, density, name } of wanted) yield measured(name, weights, { rows: count, dIn, density });
    for (const weight of weights) weight.dispose();
  }
}

function nameOf({ dIn, dOut, count, density }: { dIn: number; dOut: number; count: number; density: number }): string {
  return `sparse-down.${dIn}x${dOut}.t${count}.d${String(Math.round(100 * density)).padStart(2, "0")}`;
}

function matrices(dIn: number, dOut: number): ops.Variable[] {
  const rng = new ops.Rng(1);
  const count = Math.max(2, Math.ceil(ROTATED_BYTES / (4 * dIn * dOut)));
  return Array.from({ length: count }, (_, i) => ops.Variable.from(`w${i}`, rng.uniforms(dIn * dOut, 0.05), [dIn, dOut], { trainable: false }));
}

function measured(name: string, weights: readonly ops.Variable[], { rows, dIn, density }: { rows: number; dIn: number; density: number }): SparseRow {
  const rng = new ops.Rng(rows);
  const input = ops.Variable.from("x", Float32Array.from({ length: rows * dIn }, () => (rng.uniform() < density ? rng.uniform() + 0.1 : 0)), [rows, dIn]);
  const x = input.value;
  const skipping = (weight: ops.Variable): ops.Tensor => ops.sparseLinear(x, weight.value, { frozen: true, breakEven: 1 });
  const dense = (weight: ops.Variable): ops.Tensor => ops.linear(x, weight.value, { frozen: true });
  const [ours, peer] = inTurns(weights, [skipping, dense]);
  input.dispose();
  const round = (value: number): number => Number(value.toPrecision(5));
  return { name, ours_ms: round(ours), peer_ms: round(peer), ratio: round(ours / peer) };
}

/** Milliseconds of a call of each: the least over passes through all matrices, the two in turns, so that a slow moment hits both. */
function inTurns(weights: readonly ops.Variable[], calls: readonly [Call, Call]): [number, number] {
  const least: [number, number] = [Infinity, Infinity];
  const began = performance.now();
  for (let pass = 0; pass < 4 || (pass < 40 && performance.now() - began < 1000); pass++)
    for (const [i, call] of calls.entries()) {
      const started = performance.now();
      for (const weight of weights) ops.scope(() => call(weight));
      if (pass > 0) least[i] = Math.min(least[i] ?? Infinity, (performance.now() - started) / weights.length);
    }
  return least;
}

type Call = (weight: ops.Variable) => ops.Tensor;

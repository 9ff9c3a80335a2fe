/** The suite `linear`: dense linear layers, epilogue and all, beside the matrix library's bare product of the same shape. */
import { ops } from "@deft-js/core";

/** One row of the suite; the peer is the library's product alone: no bias, no activation. */
export interface LinearRow {
  /** `linear.768x3072.r2048`: sizes and rows, with a bias; `.gelu`: with the activation as well; `.transposed`: by Wᵀ, without a bias, as the input's gradient is. */
  readonly name: string;
  readonly ours_ms: number;
  readonly peer_ms: number;
  /** ours / peer; 1 / ratio is the share of the library's speed. */
  readonly ratio: number;
}

/** dIn × dOut of BERT mini's and base's layers. */
const SIZES = [[256, 256], [256, 1024], [1024, 256], [768, 768], [768, 3072], [3072, 768]] as const;
const ROWS = [128, 2048] as const;
const KINDS = ["", ".gelu", ".transposed"] as const;
const TIMED = { passes: 7, milliseconds: 1500 } as const;

/** Times the suite's rows whose names match, one at a time, on the back-end that runs. */
export function* linearRows(only: RegExp | undefined): Generator<LinearRow> {
  for (const [dIn, dOut] of SIZES)
    for (const rows of ROWS)
      for (const kind of KINDS) {
        const name = `linear.${dIn}x${dOut}.r${rows}${kind}`;
        if (only?.test(name) ?? true) yield { name, ...timed(kind, { dIn, dOut, rows }) };
      }
}

function timed(kind: (typeof KINDS)[number], { dIn, dOut, rows }: { readonly dIn: number; readonly dOut: number; readonly rows: number }): Omit<LinearRow, "name"> {
  const rng = new ops.Rng(1);
  const filled = (path: string, shape: readonly number[]): ops.Variable => {
    const size = shape.reduce((n, d) => n * d, 1);
    return ops.Variable.from(path, rng.uniforms(size, 0.1, ops.hostArray(size)), shape);
  };
  const transposed = kind === ".transposed";
  const variables = [filled("x", [rows, transposed ? dOut : dIn]), filled("w", [dIn, dOut]), filled("b", [dOut])] as const;
  const [x, w, b] = variables;
  const activation = kind === ".gelu" ? "gelu" : undefined;
  const layer: ops.TimedCall = (weight) => ops.linear(x.value, weight, { frozen: true, ...(transposed ? { transposed } : { bias: b.value, activation }) });
  const product: ops.TimedCall = (weight) => ops.matMul(x.value, weight, { transposeB: transposed });
  const [ours = NaN, peer = NaN] = ops.timeInTurns([w.value], [layer, product], TIMED);
  for (const variable of variables) variable.dispose();
  const round = (value: number): number => Number(value.toPrecision(5));
  return { ours_ms: round(ours), peer_ms: round(peer), ratio: round(ours / peer) };
}

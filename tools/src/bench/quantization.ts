/** The suite `quantization`: a linear layer's forward and input-gradient product over NF4 and int8 beside the same over its dense float32 matrix, in turns. */
import { DenseWeight, ops, transposeMatrix, WEIGHT_FORMAT, type Kernel, type Weight } from "@deft-js/core";

/** One row: `ours` is the quantized layer, `peer` the dense one of the same back-end. */
export interface QuantizationRow {
  readonly name: string;
  readonly ours_ms: number;
  readonly peer_ms: number;
  readonly ratio: number;
}

const SIZES = [[768, 3072], [4096, 4096]] as const;
const ROWS = [1, 512, 2048] as const;
const FORMATS = ["nf4", "int8"] as const;
/**
 * Bytes of dense matrices that are gone through in turn: when a model decodes, its other layers' matrices pass through the caches between two uses of one. `cached` rows use one matrix
 * over and over.
 */
const BEYOND_CACHES = 128 * 2 ** 20;

interface Pair {
  readonly dense: Weight;
  readonly held: Weight;
}

/** Times every row whose name matches, one after the other. */
export function* quantizationRows(kernel: Kernel, { only, iterations }: { only?: RegExp | undefined; iterations: number }): Iterable<QuantizationRow> {
  for (const [dIn, dOut] of SIZES)
    for (const format of FORMATS) {
      const name = (row: number, what: string): string => `${format}.${dIn}x${dOut}.rows${row}${what}`;
      const cases = ROWS.flatMap((row) => (row === 1 ? [[row, ""], [row, ".cached"]] : [[row, ""], [row, ".with-gradient"]]) as [number, string][]).filter(([row, what]) => only === undefined || only.test(name(row, what)));
      if (cases.length === 0) continue;
      const pairs = ring(kernel, format, dIn, dOut);
      for (const [row, what] of cases) yield timed(name(row, what), row === 1 && what === "" ? pairs : pairs.slice(0, 1), row, { backward: what === ".with-gradient", iterations });
      for (const pair of pairs) pair.dense.dispose();
    }
}

function ring(kernel: Kernel, id: string, dIn: number, dOut: number): Pair[] {
  const format = kernel.create(WEIGHT_FORMAT, id);
  const values = new ops.Rng(1).normals(dOut * dIn, 0.02);
  const dense = transposeMatrix(values, dOut, dIn);
  return Array.from({ length: Math.max(1, Math.ceil(BEYOND_CACHES / (dIn * dOut * 4))) }, (_, i) => ({
    dense: new DenseWeight(ops.Variable.from(`w${i}`, dense.slice(), [dIn, dOut], { trainable: false })),
    held: format.encode(`w${i}`, values, { dOut, dIn }),
  }));
}

/** The least time of one product, quantized and dense taking turns. */
function timed(name: string, pairs: readonly Pair[], rows: number, { backward, iterations }: { backward: boolean; iterations: number }): QuantizationRow {
  const [dIn, dOut] = pairs[0]?.dense.shape ?? [0, 0];
  const x = ops.Variable.from("x", new ops.Rng(2).normals(rows * dIn, 1), [rows, dIn]);
  const bias = ops.Variable.from("b", new ops.Rng(3).normals(dOut, 1), [dOut]);
  const once = (pick: keyof Pair): number => {
    const started = performance.now();
    for (const pair of pairs) ops.scope(() => (backward ? void ops.valueAndGradients(() => ops.sum(pair[pick].apply(x.value, bias.value)), [x]) : void pair[pick].apply(x.value, bias.value)));
    return (performance.now() - started) / pairs.length;
  };
  const least = { held: Infinity, dense: Infinity };
  const repetitions = rows === 1 ? 20 * iterations : iterations; // short ones need more of them until one is undisturbed
  for (let i = 0; i < repetitions + 2; i++) for (const pick of ["held", "dense"] as const) if (i < 2) once(pick); else least[pick] = Math.min(least[pick], once(pick));
  x.dispose();
  bias.dispose();
  return { name, ours_ms: least.held, peer_ms: least.dense, ratio: Number((least.held / least.dense).toFixed(4)) };
}

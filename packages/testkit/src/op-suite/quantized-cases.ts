import { dequantizedRows, quantizedLinear, Rng, type BlockScales, type QuantizedMatrix, type Tensor } from "@deft-js/tensor";
import * as ref from "./reference.ts";
import type { Values } from "./reference.ts";
import type { OpCase } from "./run.ts";

interface Kind {
  readonly name: string;
  readonly encoding: QuantizedMatrix["encoding"];
  /** Elements that share a scale; of a whole row, or of the whole matrix. */
  readonly block: number | "row" | "matrix";
  readonly nested?: boolean;
}

const KINDS: readonly Kind[] = [
  { name: "4 bits in blocks of 64", encoding: "codebook4", block: 64 },
  { name: "4 bits in blocks of 128, scales quantized", encoding: "codebook4", block: 128, nested: true },
  { name: "8 bits by row", encoding: "int8", block: "row" },
  { name: "8 bits by matrix", encoding: "int8", block: "matrix" },
];
/** [rows, dIn, dOut]: one row and few rows in whole vectors; odd ones; blocks that reach over rows; more rows than are multiplied straight from the codes. */
const SIZES = [[1, 256, 5], [3, 128, 4], [5, 384, 2], [1, 33, 7], [5, 50, 3], [9, 128, 3], [10, 33, 4], [0, 64, 2]] as const;

/** Random codes and scales: every code occurs. */
function randomMatrix({ encoding, block, nested }: Kind, dIn: number, dOut: number): QuantizedMatrix {
  const rng = new Rng(11).fork(`${encoding}/${dIn}/${dOut}`);
  const elements = dIn * dOut;
  const blockSize = block === "row" ? dIn : block === "matrix" ? elements : block;
  const blocks = Math.ceil(elements / blockSize);
  const bytes = (n: number): Uint8Array => Uint8Array.from({ length: n }, () => rng.integer(256));
  const scales: BlockScales = nested === true ? { codes: bytes(blocks), codebook: rng.normals(256, 0.5), blockSize: 3, scales: rng.normals(Math.ceil(blocks / 3), 1), offset: 0.75 } : { values: rng.normals(blocks, 1) };
  return { dOut, dIn, encoding, blockSize, scales, codes: bytes(encoding === "int8" ? elements : Math.ceil(elements / 2)), ...(encoding === "int8" ? {} : { codebook: rng.normals(16, 1) }) };
}

/** `quantizedLinear` in every encoding, beside the dense product in float64. */
export function quantizedCases(): OpCase[] {
  return KINDS.flatMap((kind) =>
    SIZES.map(([m, k, n]): OpCase => {
      const matrix = randomMatrix(kind, k, n);
      const dense = ref.transpose(Array.from(dequantizedRows(matrix, 0, n)), n, k);
      return {
        name: `quantizedLinear ${m}×${k}×${n}, ${kind.name}`,
        inputs: { x: [m, k], b: [n] },
        op: (i) => quantizedLinear(i["x"] as Tensor, matrix, { bias: i["b"] }),
        reference: (i) => ref.linear(i["x"] as Values, dense, i["b"] as Values, [m, k, n]),
      };
    }),
  );
}

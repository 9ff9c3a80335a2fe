import { DeftError } from "./errors.ts";

/** One scale for each block: as it is, or itself quantized: scale = codebook[code]·scales[⌊block/blockSize⌋] + offset. */
export type BlockScales =
  | { readonly values: Float32Array }
  | {
      /** One code for each block. */
      readonly codes: Uint8Array;
      /** 256 values. */
      readonly codebook: Float32Array;
      /** Blocks that share one of `scales`. */
      readonly blockSize: number;
      readonly scales: Float32Array;
      readonly offset: number;
    };

/**
 * A matrix W [dOut, dIn] in few bits, on the host: tensors have no type for it. Blocks of `blockSize` consecutive elements of the flat
 * matrix (row by row) share a scale; the last block may be short.
 * - `codebook4`: W = codebook[code]·scale, two codes in a byte, the first in the high half.
 * - `int8`: W = code·(scale/127), one code in two's complement in a byte.
 */
export interface QuantizedMatrix {
  readonly dOut: number;
  readonly dIn: number;
  readonly encoding: "codebook4" | "int8";
  readonly codes: Uint8Array;
  /** 16 values for `codebook4`, none for `int8`. */
  readonly codebook?: Float32Array | undefined;
  readonly blockSize: number;
  readonly scales: BlockScales;
}

/** Bytes that a matrix holds: codes, scales and codebooks. */
export function quantizedBytes({ codes, codebook, scales }: QuantizedMatrix): number {
  const own = codes.byteLength + (codebook?.byteLength ?? 0);
  return own + ("values" in scales ? scales.values.byteLength : scales.codes.byteLength + scales.codebook.byteLength + scales.scales.byteLength);
}

/** Throws `tensor.quantized` unless codes, codebook and scales have the sizes that the matrix needs. */
export function checkQuantizedMatrix(matrix: QuantizedMatrix, who: string): void {
  const { dOut, dIn, encoding, codes, codebook, blockSize, scales } = matrix;
  const elements = dOut * dIn;
  const blocks = Math.ceil(elements / blockSize);
  const need = (what: string, wanted: number, got: number): void => {
    if (wanted !== got) throw new DeftError("tensor.quantized", `${who}: ${what} must be ${wanted} for [${dOut},${dIn}] in blocks of ${blockSize}, got ${got}. Quantize or fetch the weights again.`);
  };
  if (!Number.isSafeInteger(blockSize) || blockSize < 1) throw new DeftError("tensor.quantized", `${who}: the block size must be a positive whole number, got ${blockSize}. Quantize or fetch the weights again.`);
  need("bytes of codes", encoding === "int8" ? elements : Math.ceil(elements / 2), codes.length);
  need("values of the codebook", encoding === "int8" ? 0 : 16, codebook?.length ?? 0);
  if ("values" in scales) return need("scales", blocks, scales.values.length);
  need("codes of scales", blocks, scales.codes.length);
  need("values of the scales' codebook", 256, scales.codebook.length);
  need("scales of scales", Math.ceil(blocks / scales.blockSize), scales.scales.length);
}

const fround = Math.fround;

/** The scale of one block, in float32. */
export function scaleOf(scales: BlockScales, block: number): number {
  if ("values" in scales) return scales.values[block] as number;
  const { codes, codebook, blockSize, scales: outer, offset } = scales;
  return fround(fround((codebook[codes[block] as number] as number) * (outer[Math.floor(block / blockSize)] as number)) + offset);
}

/** The rows [begin, end) of W as float32, [end − begin, dIn]. */
export function dequantizedRows(matrix: QuantizedMatrix, begin: number, end: number): Float32Array {
  const { dIn, encoding, blockSize, scales } = matrix;
  const [first, last] = [begin * dIn, end * dIn];
  const out = new Float32Array(last - first);
  const decode = encoding === "int8" ? int8Run : codebookRun;
  for (let from = first; from < last; ) {
    const block = Math.floor(from / blockSize);
    const to = Math.min(last, (block + 1) * blockSize);
    decode(matrix, scaleOf(scales, block), from, out.subarray(from - first, to - first));
    from = to;
  }
  return out;
}

function codebookRun({ codes, codebook }: QuantizedMatrix, scale: number, from: number, out: Float32Array): void {
  for (let i = 0; i < out.length; i++) {
    const pair = codes[(from + i) >> 1] as number;
    out[i] = (codebook?.[((from + i) & 1) === 0 ? pair >> 4 : pair & 15] as number) * scale;
  }
}

function int8Run({ codes }: QuantizedMatrix, scale: number, from: number, out: Float32Array): void {
  const unit = fround(scale / 127);
  for (let i = 0; i < out.length; i++) out[i] = (((codes[from + i] as number) << 24) >> 24) * unit;
}

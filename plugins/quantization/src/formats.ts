import { DeftError, type WeightFormat } from "@deft-js/core";
import { z } from "zod";
import { FP4, NF4, type Codebook4 } from "./codebooks.ts";
import { blockMaxima, encodeBytes, encodePairs, quantizeScales } from "./encode.ts";
import { QuantizedWeight } from "./quantized-weight.ts";

/** Heads and tied embeddings: what answers or is trained stays dense. */
export const DEFAULT_KEEP = String.raw`(?:^|\.)(?:classifier|heads|lm_head|cls|qa_outputs|score)(?:\.|$)`;

const keep = z.string().refine(isPattern, "must be a regular expression").default(DEFAULT_KEEP).describe("regular expression over the paths of linear layers: those that stay dense");

/** Options of `nf4` and `fp4`. */
export const fourBitSchema = z.strictObject({
  blockSize: z.union([64, 128, 256, 512, 1024, 2048, 4096].map((size) => z.literal(size))).default(64).describe("elements that share a scale"),
  doubleQuantization: z.boolean().default(true).describe("whether the scales are held in 8 bits themselves"),
  keep,
});

/** Options of `int8`. */
export const int8Schema = z.strictObject({
  scale: z.enum(["row", "matrix"]).default("row").describe("whether each output or the whole matrix has a scale"),
  keep,
});

export type FourBitOptions = z.input<typeof fourBitSchema>;
export type Int8Options = z.input<typeof int8Schema>;

/**
 * NormalFloat with 4 bits and a scale for each 64 weights (Dettmers et al., 2023, arXiv:2305.14314): bit for bit what bitsandbytes makes of the same float32 values.
 * 0.516 bytes a weight with double quantization, 0.563 without.
 * @throws DeftError `options.invalid`
 */
export function nf4(options: FourBitOptions = {}): WeightFormat {
  return fourBit(NF4, options);
}

/** 4-bit floating point, otherwise as `nf4`. Throws `options.invalid`. */
export function fp4(options: FourBitOptions = {}): WeightFormat {
  return fourBit(FP4, options);
}

/** round(W·127/max|W|) in 8 bits, with a scale for each output (as `load_in_8bit` of bitsandbytes holds weights) or one for the matrix. Throws `options.invalid`. */
export function int8(options: Int8Options = {}): WeightFormat {
  const made = parsed("int8", int8Schema, options);
  const format: WeightFormat = {
    id: "int8",
    options: made,
    accepts: accepts(made.keep),
    encode(path, values, { dOut, dIn }) {
      const blockSize = Math.max(1, made.scale === "row" ? dIn : dOut * dIn);
      const maxima = finiteMaxima(path, values, blockSize);
      return new QuantizedWeight(path, { dOut, dIn, encoding: "int8", codes: encodeBytes(values, maxima, blockSize), blockSize, scales: { values: maxima } }, format);
    },
  };
  return format;
}

function fourBit(codebook: Codebook4, options: FourBitOptions): WeightFormat {
  const made = parsed(codebook.id, fourBitSchema, options);
  const { blockSize, doubleQuantization } = made;
  const format: WeightFormat = {
    id: codebook.id,
    options: made,
    accepts: accepts(made.keep),
    encode(path, values, { dOut, dIn }) {
      const maxima = finiteMaxima(path, values, blockSize);
      const codes = encodePairs(values, maxima, blockSize, codebook);
      const scales = doubleQuantization ? quantizeScales(maxima) : { values: maxima };
      return new QuantizedWeight(path, { dOut, dIn, encoding: "codebook4", codes, codebook: codebook.values, blockSize, scales }, format);
    },
  };
  return format;
}

function accepts(pattern: string): (path: string) => boolean {
  const kept = new RegExp(pattern);
  return (path) => path.search(kept) < 0;
}

function finiteMaxima(path: string, values: Float32Array, blockSize: number): Float32Array {
  const maxima = blockMaxima(values, blockSize);
  const block = maxima.findIndex((max) => !Number.isFinite(max));
  if (block >= 0) throw new DeftError("quantize.nonfinite", `quantize ${path}: weights must be finite, got ${maxima[block]} in the block from index ${block * blockSize} on. Fetch or train the checkpoint again.`);
  return maxima;
}

function parsed<S extends z.ZodType>(id: string, schema: S, options: unknown): z.output<S> {
  const result = schema.safeParse(options);
  if (result.success) return result.data;
  const issues = result.error.issues.map((issue) => `${issue.path.join(".") || "options"}: ${issue.message}`).join("; ");
  throw new DeftError("options.invalid", `${id}: options must fit the schema, got ${issues}. Correct them.`);
}

function isPattern(source: string): boolean {
  try {
    return new RegExp(source) instanceof RegExp;
  } catch {
    return false;
  }
}

import { DeftError, ops, type StoredTensor, type Weight, type WeightFormat } from "@deft-js/core";
import { fp4, int8, nf4 } from "./formats.ts";
import { parseQuantState, type QuantState } from "./quant-state.ts";
import { QuantizedWeight } from "./quantized-weight.ts";

/** A quantized matrix in a file: nothing but its record is read until it is asked for. */
export interface StoredReader {
  /** [dOut, dIn]. */
  readonly shape: readonly number[];
  weight(): Promise<Weight>;
  /** Its values as float32. */
  values(): Promise<Float32Array>;
}

type Raw = (name: string) => Promise<StoredTensor>;

/** PATH.weight with the tensors beside it, of which the record is read now. Throws `checkpoint.quantized`, `checkpoint.missing`. */
export async function readFourBit({ path, stateName, names, raw }: { path: string; stateName: string; names: ReadonlySet<string>; raw: Raw }): Promise<StoredReader> {
  const state = parseQuantState((await raw(stateName)).bytes, stateName);
  const key = (rest: string): string => `${path}.weight.${rest}`;
  const [dOut, dIn] = state.shape;
  const nested = names.has(key("nested_absmax"));
  return reader(state.shape, async () => {
    const codes = await octets(raw, `${path}.weight`);
    const codebook = await floats(raw, key("quant_map"));
    const scales: ops.BlockScales = nested ? await nestedScales(state, key, raw) : { values: await floats(raw, key("absmax")) };
    const format = formatOf(state, nested);
    return weightOf(path, { dOut, dIn, encoding: "codebook4", codes, codebook, blockSize: state.blocksize, scales }, format);
  });
}

async function nestedScales({ nested_blocksize, nested_offset }: QuantState, key: (rest: string) => string, raw: Raw): Promise<ops.BlockScales> {
  if (nested_blocksize === undefined || nested_offset === undefined) throw broken(key("nested_absmax"), "a block size and an offset of the scales", "a record without them");
  return {
    codes: await octets(raw, key("absmax")),
    codebook: await floats(raw, key("nested_quant_map")),
    blockSize: nested_blocksize,
    scales: await floats(raw, key("nested_absmax")),
    offset: Math.fround(nested_offset),
  };
}

/** The format that would encode a matrix in the same way. */
function formatOf({ quant_type, blocksize }: QuantState, doubleQuantization: boolean): WeightFormat {
  const options = { blockSize: blocksize as 64, doubleQuantization };
  return quant_type === "nf4" ? nf4(options) : fp4(options);
}

/** PATH.weight in int8 with each row's largest |value| in PATH.SCB. */
export function readInt8({ path, shape, names, raw }: { path: string; shape: readonly number[]; names: ReadonlySet<string>; raw: Raw }): StoredReader {
  const [dOut = 0, dIn = 0] = shape;
  const order = `${path}.weight_format`;
  return reader(shape, async () => {
    const [told = 0] = names.has(order) ? await octets(raw, order) : [];
    if (told !== 0) throw broken(order, "0, rows in order", `${told}, a layout of an old bitsandbytes for one GPU`);
    const { dtype, bytes: codes } = await raw(`${path}.weight`);
    if (dtype !== "I8") throw broken(`${path}.weight`, "I8 beside SCB", dtype);
    return weightOf(path, { dOut, dIn, encoding: "int8", codes, blockSize: Math.max(1, dIn), scales: { values: await floats(raw, `${path}.SCB`) } }, int8());
  });
}

function reader(shape: readonly number[], read: () => Promise<QuantizedWeight>): StoredReader {
  return {
    shape,
    weight: read,
    values: async () => {
      const { matrix } = await read();
      return ops.dequantizedRows(matrix, 0, matrix.dOut);
    },
  };
}

function weightOf(path: string, matrix: ops.QuantizedMatrix, format: WeightFormat): QuantizedWeight {
  const { scales, codebook } = matrix;
  const numbers = "values" in scales ? [scales.values] : [scales.scales, scales.codebook, Float32Array.of(scales.offset)];
  for (const values of [...numbers, ...(codebook === undefined ? [] : [codebook])]) {
    const wrong = values.find((value) => !Number.isFinite(value));
    if (wrong !== undefined) throw broken(path, "finite scales", String(wrong));
  }
  return new QuantizedWeight(path, matrix, format);
}

async function octets(raw: Raw, name: string): Promise<Uint8Array> {
  const { dtype, bytes } = await raw(name);
  if (dtype !== "U8") throw broken(name, "bytes (U8)", dtype);
  return bytes;
}

async function floats(raw: Raw, name: string): Promise<Float32Array> {
  const { dtype, bytes } = await raw(name);
  if (dtype !== "F32") throw broken(name, "float32 values (F32)", dtype);
  return new Float32Array(bytes.slice().buffer);
}

function broken(name: string, rule: string, got: string): DeftError {
  return new DeftError("checkpoint.quantized", `${name}: must hold ${rule}, got ${got}. Write the checkpoint again.`);
}

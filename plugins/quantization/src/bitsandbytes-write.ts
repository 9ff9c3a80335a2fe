import type { ops, StoredTensor } from "@deft-js/core";
import { formatQuantState } from "./quant-state.ts";
import type { QuantizedWeight } from "./quantized-weight.ts";

const bytesOf = (values: Float32Array): Uint8Array => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
const floats = (name: string, values: Float32Array): StoredTensor => ({ name, dtype: "F32", shape: [values.length], bytes: bytesOf(values) });
const octets = (name: string, bytes: Uint8Array, shape: readonly number[] = [bytes.length]): StoredTensor => ({ name, dtype: "U8", shape, bytes });

/** A 4-bit weight's tensors. */
export function writeFourBit(path: string, { matrix, format }: QuantizedWeight): readonly StoredTensor[] {
  const { dOut, dIn, codes, codebook = new Float32Array(0), blockSize, scales } = matrix;
  const key = (rest: string): string => `${path}.weight.${rest}`;
  const state = { quant_type: format as "nf4" | "fp4", blocksize: blockSize, dtype: "float32", shape: [dOut, dIn] as [number, number] };
  const common = [octets(`${path}.weight`, codes, [codes.length, 1]), floats(key("quant_map"), codebook)];
  const record = (more: object): StoredTensor => octets(key(`quant_state.bitsandbytes__${format}`), formatQuantState({ ...state, ...more }));
  if ("values" in scales) return [...common, floats(key("absmax"), scales.values), record({})];
  const nested = { nested_blocksize: scales.blockSize, nested_dtype: "float32", nested_offset: scales.offset };
  return [...common, octets(key("absmax"), scales.codes), floats(key("nested_absmax"), scales.scales), floats(key("nested_quant_map"), scales.codebook), record(nested)];
}

/** An 8-bit weight's tensors: SCB is each row's largest |value|, format 0 says that rows are in order. */
export function writeInt8(path: string, { dOut, dIn, codes }: ops.QuantizedMatrix, maxima: Float32Array): readonly StoredTensor[] {
  return [{ name: `${path}.weight`, dtype: "I8", shape: [dOut, dIn], bytes: codes }, floats(`${path}.SCB`, maxima), octets(`${path}.weight_format`, Uint8Array.of(0), [])];
}

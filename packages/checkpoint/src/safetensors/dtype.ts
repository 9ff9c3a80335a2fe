/** How a dtype is stored, and how its elements become float32. */
export interface DtypeInfo {
  /** Bytes of an element. */
  readonly bytes: number;
  /** Converts little-endian elements to float32 (rounding to nearest); absent where only the raw bytes can be had. */
  readonly toFloat32?: (bytes: Uint8Array<ArrayBuffer>, out: Float32Array) => void;
}

/** The dtypes of the safetensors format whose elements are whole bytes. */
export type Dtype =
  | "F64" | "F32" | "F16" | "BF16" | "I64" | "I32" | "I16" | "I8" | "U64" | "U32" | "U16" | "U8" | "BOOL"
  | "F8_E4M3" | "F8_E5M2" | "F8_E8M0" | "C64";

/** Every dtype that is read. Source: the enumeration in huggingface/safetensors; F4 and F6, which share bytes, are left out. */
export const DTYPES: Readonly<Record<Dtype, DtypeInfo>> = {
  F64: { bytes: 8, toFloat32: (bytes, out) => out.set(new Float64Array(bytes.buffer, 0, out.length)) },
  F32: { bytes: 4, toFloat32: (bytes, out) => out.set(new Float32Array(bytes.buffer, 0, out.length)) },
  F16: { bytes: 2, toFloat32: float16ToFloat32 },
  BF16: { bytes: 2, toFloat32: bfloat16ToFloat32 },
  I64: { bytes: 8, toFloat32: (bytes, out) => setFromBigInts(new BigInt64Array(bytes.buffer, 0, out.length), out) },
  I32: { bytes: 4, toFloat32: (bytes, out) => out.set(new Int32Array(bytes.buffer, 0, out.length)) },
  I16: { bytes: 2, toFloat32: (bytes, out) => out.set(new Int16Array(bytes.buffer, 0, out.length)) },
  I8: { bytes: 1, toFloat32: (bytes, out) => out.set(new Int8Array(bytes.buffer, 0, out.length)) },
  U64: { bytes: 8, toFloat32: (bytes, out) => setFromBigInts(new BigUint64Array(bytes.buffer, 0, out.length), out) },
  U32: { bytes: 4, toFloat32: (bytes, out) => out.set(new Uint32Array(bytes.buffer, 0, out.length)) },
  U16: { bytes: 2, toFloat32: (bytes, out) => out.set(new Uint16Array(bytes.buffer, 0, out.length)) },
  U8: { bytes: 1, toFloat32: (bytes, out) => out.set(new Uint8Array(bytes.buffer, 0, out.length)) },
  BOOL: { bytes: 1, toFloat32: (bytes, out) => out.set(new Uint8Array(bytes.buffer, 0, out.length)) },
  F8_E4M3: { bytes: 1 },
  F8_E5M2: { bytes: 1 },
  F8_E8M0: { bytes: 1 },
  C64: { bytes: 8 },
};

/** True for the name of a dtype that is read. */
export function isDtype(name: unknown): name is Dtype {
  return typeof name === "string" && Object.hasOwn(DTYPES, name);
}

/** IEEE 754 binary16 to binary32, exact: (−1)^s · 2^(e−15) · (1 + m/1024), subnormals (−1)^s · 2^(−14) · m/1024. */
export function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const mantissa = bits & 0x3ff;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 0x1f) return mantissa === 0 ? sign * Infinity : NaN;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

let halves: Float32Array | undefined;

function float16ToFloat32(bytes: Uint8Array<ArrayBuffer>, out: Float32Array): void {
  halves ??= Float32Array.from({ length: 0x10000 }, (_, bits) => halfToFloat(bits));
  const source = new Uint16Array(bytes.buffer, 0, out.length);
  for (let i = 0; i < out.length; i += 1) out[i] = halves[source[i] ?? 0] ?? 0;
}

function bfloat16ToFloat32(bytes: Uint8Array<ArrayBuffer>, out: Float32Array): void {
  const target = new Uint32Array(out.buffer, out.byteOffset, out.length);
  const source = new Uint16Array(bytes.buffer, 0, out.length);
  for (let i = 0; i < out.length; i += 1) target[i] = (source[i] ?? 0) << 16;
}

function setFromBigInts(source: BigInt64Array | BigUint64Array, out: Float32Array): void {
  for (let i = 0; i < out.length; i += 1) out[i] = Number(source[i] ?? 0n);
}

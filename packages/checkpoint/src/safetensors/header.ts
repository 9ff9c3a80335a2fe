import { DeftError } from "@deft-js/core";
import { isJsonObject, parseJsonObject } from "../files/json.ts";
import { DTYPES, isDtype, type Dtype } from "./dtype.ts";

/** The largest header that is read or written, in bytes: the limit of the reference implementation. */
export const MAX_HEADER_BYTES = 100_000_000;
const MAX_RANK = 32;
const REMEDY = "Fetch or write the file again.";

/** Where a tensor lies in a file. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Offset of its first byte from the beginning of the file. */
  readonly offset: number;
  /** Its size in bytes. */
  readonly bytes: number;
}

/** What a safetensors header says, validated. */
export interface SafetensorsHeader {
  /** In the order of their offsets. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * The header's length, from the file's first eight bytes (little-endian).
 * @throws DeftError `safetensors.header` on a length over 100 MB, `safetensors.truncated` on one that is longer than the file.
 */
export function headerLength(prefix: Uint8Array, { who, fileBytes }: { who: string; fileBytes: number }): number {
  if (prefix.byteLength < 8) throw truncated(who, `8 bytes of header length, got ${prefix.byteLength}`);
  const length = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw new DeftError("safetensors.header", `${who}: the header may have ${MAX_HEADER_BYTES} bytes at most, got ${length}. Is it a safetensors file?`);
  }
  if (8 + Number(length) > fileBytes) throw truncated(who, `a header of ${length} bytes, got ${fileBytes - 8} bytes after its length`);
  return Number(length);
}

/**
 * Parses and validates a header: every dtype known, every shape bounded and of the size that its offsets give, the tensors one after the
 * other without gap or overlap from the end of the header to the end of the file.
 * Source: the format's description and checks in huggingface/safetensors.
 * @param json the header's bytes, without the length
 * @throws DeftError `safetensors.header`, `.name`, `.dtype`, `.shape`, `.offsets`, `.truncated`.
 */
export function parseHeader(json: Uint8Array, { who, fileBytes }: { who: string; fileBytes: number }): SafetensorsHeader {
  const begin = 8 + json.byteLength;
  const header = parseJsonObject(json, { who, code: "safetensors.header" });
  const metadata = readMetadata(header, who);
  const tensors = Object.entries(header)
    .filter(([name]) => name !== "__metadata__")
    .map(([name, entry]) => readEntry(name, entry, { who, begin }))
    .sort((a, b) => a.offset - b.offset || a.bytes - b.bytes);
  requireContiguous(tensors, { who, begin, fileBytes });
  return { tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])), metadata };
}

/**
 * The number of elements of a shape; 1 for a scalar.
 * @throws DeftError `safetensors.shape` on sizes that are not whole numbers ≥ 0, on more than 32 axes and on a product over 2^53 − 1.
 */
export function elementsOf(shape: unknown, who: string): number {
  if (!Array.isArray(shape) || shape.length > MAX_RANK || !shape.every((size) => Number.isSafeInteger(size) && size >= 0)) {
    throw new DeftError("safetensors.shape", `${who}: a shape must hold at most ${MAX_RANK} whole numbers ≥ 0, got ${shown(shape)}. ${REMEDY}`);
  }
  const elements = (shape as number[]).reduce((product, size) => product * size, 1);
  if (!Number.isSafeInteger(elements)) {
    throw new DeftError("safetensors.shape", `${who}: a tensor may have 2^53 − 1 elements at most, got shape ${shown(shape)}. ${REMEDY}`);
  }
  return elements;
}

/** @throws DeftError `safetensors.name` on a name that UTF-8 cannot hold or that the format keeps for itself. */
export function requireTensorName(name: string, who: string): void {
  if (name === "__metadata__" || /\p{Surrogate}/u.test(name)) {
    throw new DeftError("safetensors.name", `${who}: a tensor's name must be well-formed Unicode and not __metadata__, got ${shown(name)}. Rename it.`);
  }
}

function readMetadata(header: Readonly<Record<string, unknown>>, who: string): Record<string, string> {
  const metadata = header["__metadata__"] ?? {};
  if (!isJsonObject(metadata) || !Object.values(metadata).every((value) => typeof value === "string")) {
    throw new DeftError("safetensors.header", `${who}: __metadata__ must map strings to strings, got ${shown(metadata)}. ${REMEDY}`);
  }
  return metadata as Record<string, string>;
}

function readEntry(name: string, entry: unknown, { who, begin }: { who: string; begin: number }): TensorInfo {
  const where = `${who}: ${shown(name)}`;
  requireTensorName(name, who);
  if (!isJsonObject(entry)) throw new DeftError("safetensors.header", `${where}: must be an object, got ${shown(entry)}. ${REMEDY}`);
  const { dtype, shape, data_offsets: offsets } = entry;
  if (!isDtype(dtype)) {
    throw new DeftError("safetensors.dtype", `${where}: dtype must be one of ${Object.keys(DTYPES).join(", ")}, got ${shown(dtype)}. Convert the file.`);
  }
  if (!isRange(offsets)) {
    throw new DeftError("safetensors.offsets", `${where}: data_offsets must be [begin, end] with 0 ≤ begin ≤ end, got ${shown(offsets)}. ${REMEDY}`);
  }
  const bytes = offsets[1] - offsets[0];
  const expected = elementsOf(shape, where) * DTYPES[dtype].bytes;
  if (bytes !== expected) {
    throw new DeftError("safetensors.offsets", `${where}: ${dtype} ${shown(shape)} takes ${expected} bytes, got ${bytes}. ${REMEDY}`);
  }
  return { name, dtype, shape: shape as number[], offset: begin + offsets[0], bytes };
}

function isRange(value: unknown): value is [number, number] {
  return Array.isArray(value) && value.length === 2 && value.every((item) => Number.isSafeInteger(item)) && value[0] >= 0 && value[0] <= value[1];
}

function requireContiguous(tensors: readonly TensorInfo[], { who, begin, fileBytes }: { who: string; begin: number; fileBytes: number }): void {
  let end = begin;
  for (const { name, offset, bytes } of tensors) {
    if (offset !== end) {
      const what = offset < end ? "overlaps the one before it" : "leaves a gap before it";
      throw new DeftError("safetensors.offsets", `${who}: tensors must follow each other, got ${shown(name)}, which ${what}. ${REMEDY}`);
    }
    end += bytes;
  }
  if (end > fileBytes) throw truncated(who, `${end} bytes, got ${fileBytes}`);
  if (end < fileBytes) {
    throw new DeftError("safetensors.offsets", `${who}: the tensors must reach to the end of the file, got ${fileBytes - end} bytes after them. ${REMEDY}`);
  }
}

function truncated(who: string, rule: string): DeftError {
  return new DeftError("safetensors.truncated", `${who}: must have ${rule}. The file is cut off; fetch or write it again.`);
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

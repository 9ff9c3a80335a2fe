import { DeftError, type NamedArray, type StoredTensor } from "@deft-js/core";
import { writeAll, writeFileAtomically } from "../files/atomic-file.ts";
import { DTYPES, isDtype, type Dtype } from "./dtype.ts";
import { elementsOf, MAX_HEADER_BYTES, requireTensorName } from "./header.ts";

/** What can be written: float32 values, or bytes of any dtype. */
export type WritableTensor = NamedArray | StoredTensor;

/** What the header holds besides the tensors. */
export interface WriteSafetensorsOptions {
  /** Free strings; `{ format: "pt" }` when left out, which other libraries ask for. */
  readonly metadata?: Readonly<Record<string, string>>;
}

interface Planned {
  readonly tensor: WritableTensor;
  readonly dtype: Dtype;
  readonly bytes: number;
}

/**
 * Writes a safetensors file under a temporary name, fsyncs it and renames it, so that the name never holds half a file. The layout is that
 * of the reference implementation: wider dtypes first, then by name, data aligned to 8 bytes. Each tensor's `values` (or `bytes`) is read
 * once, when its turn comes: a getter there keeps a large model from being in memory as a whole.
 * @throws DeftError `safetensors.duplicate`, `.name`, `.dtype`, `.shape` (also when the values' number is not the shape's), `.header`; `checkpoint.unwritable`.
 */
export async function writeSafetensors(path: string, tensors: Iterable<WritableTensor>, options: WriteSafetensorsOptions = {}): Promise<void> {
  const plan = planTensors(path, tensors);
  const header = encodeHeader(path, plan, options.metadata ?? { format: "pt" });
  await writeFileAtomically(path, async (handle) => {
    await writeAll(handle, header);
    for (const { tensor, bytes } of plan) {
      const content = "values" in tensor ? asBytes(tensor.values) : tensor.bytes;
      if (content.byteLength !== bytes) {
        throw new DeftError("safetensors.shape", `${path}: ${tensor.name} of shape [${tensor.shape.join(", ")}] takes ${bytes} bytes, got ${content.byteLength}. Give as many values as its shape says.`);
      }
      await writeAll(handle, content);
    }
  });
}

function planTensors(path: string, tensors: Iterable<WritableTensor>): Planned[] {
  const plan: Planned[] = [];
  const names = new Set<string>();
  for (const tensor of tensors) {
    const { name, shape } = tensor;
    const dtype = "dtype" in tensor ? tensor.dtype : "F32";
    requireTensorName(name, path);
    if (names.has(name)) throw new DeftError("safetensors.duplicate", `${path}: names must be unique, got ${JSON.stringify(name)} twice. Rename one.`);
    if (!isDtype(dtype)) throw new DeftError("safetensors.dtype", `${path}: ${name} must have a known dtype, got ${String(dtype)}. Known: ${Object.keys(DTYPES).join(", ")}.`);
    names.add(name);
    plan.push({ tensor, dtype, bytes: elementsOf(shape, `${path}: ${name}`) * DTYPES[dtype].bytes });
  }
  return plan.sort((a, b) => DTYPES[b.dtype].bytes - DTYPES[a.dtype].bytes || compareNames(a.tensor.name, b.tensor.name));
}

/** By code unit: the same order on every machine. */
function compareNames(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

/** Length and JSON, padded with spaces to a multiple of 8; joined by hand because an object would move keys like "0" to the front. */
function encodeHeader(path: string, plan: readonly Planned[], metadata: Readonly<Record<string, string>>): Uint8Array {
  const entries = Object.keys(metadata).length === 0 ? [] : [`"__metadata__":${JSON.stringify(metadata)}`];
  let offset = 0;
  for (const { tensor, dtype, bytes } of plan) {
    const entry = { dtype, shape: tensor.shape, data_offsets: [offset, offset + bytes] };
    entries.push(`${JSON.stringify(tensor.name)}:${JSON.stringify(entry)}`);
    offset += bytes;
  }
  const json = new TextEncoder().encode(`{${entries.join(",")}}`);
  const length = Math.ceil(json.byteLength / 8) * 8;
  if (length > MAX_HEADER_BYTES) {
    throw new DeftError("safetensors.header", `${path}: the header may have ${MAX_HEADER_BYTES} bytes at most, got ${length}. Put less into the metadata, or write several files.`);
  }
  const header = new Uint8Array(8 + length).fill(0x20, 8);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, 8);
  return header;
}

function asBytes(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

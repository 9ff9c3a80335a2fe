import { open, stat, type FileHandle } from "node:fs/promises";
import { DeftError, type NamedArray, type StoredTensor, type TensorSource } from "@deft-js/core";
import { unreadable } from "../files/errors.ts";
import { DTYPES, type Dtype } from "./dtype.ts";
import { headerLength, parseHeader, type TensorInfo } from "./header.ts";

/** A tensor as it is stored. */
export interface RawTensor extends StoredTensor {
  readonly dtype: Dtype;
}

/** An open safetensors file: the header is in memory, the tensors are read one by one where they lie. Needs no closing. */
export interface SafetensorsFile extends TensorSource {
  readonly path: string;
  /** The free strings of the header. */
  readonly metadata: Readonly<Record<string, string>>;
  /** @throws DeftError `checkpoint.missing` when there is no such tensor. */
  info(name: string): TensorInfo;
  /**
   * A tensor's values as float32, rounded to nearest where the dtype is wider.
   * @throws DeftError `checkpoint.missing`; `safetensors.dtype` where the dtype has no float32 reading (8-bit floats, complex);
   * `safetensors.changed` when the file is no longer the one that was opened; `safetensors.tooLarge` when memory cannot hold the tensor.
   */
  read(name: string, room?: Float32Array): Promise<Float32Array>;
  /** A tensor's bytes. @throws DeftError as `read`, but for the dtype. */
  readRaw(name: string): Promise<RawTensor>;
}

/** Bytes that are converted at a time; a multiple of every dtype's size. */
const CHUNK_BYTES = 1 << 22;
const PIECE_BYTES = 1 << 28;

/**
 * Opens a safetensors file: reads and validates its header, and nothing else.
 * @throws DeftError `safetensors.header`, `.truncated`, `.name`, `.dtype`, `.shape`, `.offsets`; `checkpoint.missing`, `checkpoint.unreadable`.
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const identity = await identityOf(path);
  const { tensors, metadata } = await withHandle(path, identity, async (handle) => {
    const fileBytes = identity.size;
    const prefix = await readExactly(handle, { path, offset: 0, bytes: Math.min(8, fileBytes) });
    const length = headerLength(prefix, { who: path, fileBytes });
    return parseHeader(await readExactly(handle, { path, offset: 8, bytes: length }), { who: path, fileBytes });
  });
  const info = (name: string): TensorInfo => {
    const found = tensors.get(name);
    if (!found) throw new DeftError("checkpoint.missing", `${path}: must hold ${name}, got no such tensor. Is it the checkpoint of another model?`);
    return found;
  };
  return {
    path,
    metadata,
    info,
    names: () => [...tensors.keys()],
    shape: (name) => info(name).shape,
    read: (name, room) => withHandle(path, identity, (handle) => readFloat32(handle, path, info(name), room)),
    readRaw: (name) =>
      withHandle(path, identity, async (handle) => {
        const { dtype, shape, offset, bytes } = info(name);
        return { name, dtype, shape, bytes: await readExactly(handle, { path, offset, bytes }) };
      }),
  };
}

/** Parameters are floats: whole numbers are codes, of a quantization that nobody has decoded, and no values. */
const FLOATS: ReadonlySet<Dtype> = new Set<Dtype>(["F64", "F32", "F16", "BF16"]);

/** As a file's `read`, for a parameter. @throws DeftError `checkpoint.dtype` on a tensor of other numbers than floats */
export function readParameter(file: SafetensorsFile, name: string, room?: Float32Array): Promise<Float32Array> {
  const { dtype } = file.info(name);
  if (!FLOATS.has(dtype)) throw new DeftError("checkpoint.dtype", `${file.path}: ${name} must be stored in one of ${[...FLOATS].join(", ")}, got ${dtype}. A quantized model needs its layout's plugin and every tensor beside its weights; otherwise convert it.`);
  return file.read(name, room);
}

/**
 * Reads the parameters of a whole safetensors file: for adapters, which are small.
 * @throws DeftError as `readSafetensors`, and `checkpoint.dtype`.
 */
export async function readParameters(path: string): Promise<Map<string, NamedArray>> {
  return readAll(await openSafetensors(path), readParameter);
}

/**
 * Reads a whole safetensors file as float32, whatever its numbers are.
 * @throws DeftError as `openSafetensors` and `SafetensorsFile.read`.
 */
export async function readSafetensors(path: string): Promise<{ tensors: Map<string, NamedArray>; metadata: Readonly<Record<string, string>> }> {
  const file = await openSafetensors(path);
  return { tensors: await readAll(file, (from, name) => from.read(name)), metadata: file.metadata };
}

async function readAll(file: SafetensorsFile, read: (file: SafetensorsFile, name: string) => Promise<Float32Array>): Promise<Map<string, NamedArray>> {
  const tensors = new Map<string, NamedArray>();
  for (const name of file.names()) tensors.set(name, { name, shape: file.shape(name), values: await read(file, name) });
  return tensors;
}

async function readFloat32(handle: FileHandle, path: string, { name, dtype, offset, bytes }: TensorInfo, room?: Float32Array): Promise<Float32Array> {
  const { bytes: size, toFloat32 } = DTYPES[dtype];
  if (!toFloat32) {
    throw new DeftError("safetensors.dtype", `${path}: ${name} must have a dtype that reads as float32, got ${dtype}. Convert it to F32, F16 or BF16.`);
  }
  if (dtype === "F32") return new Float32Array((await readExactly(handle, { path, offset, bytes })).buffer);
  const elements = bytes / size;
  const values = room !== undefined && room.length >= elements ? room.subarray(0, elements) : new Float32Array(allocate(path, elements * 4).buffer);
  const chunk = chunks.pop() ?? new Uint8Array(CHUNK_BYTES);
  for (let done = 0; done < bytes; done += CHUNK_BYTES) {
    const here = await readExactly(handle, { path, offset: offset + done, bytes: Math.min(CHUNK_BYTES, bytes - done) }, chunk);
    toFloat32(here, values.subarray(done / size, (done + here.byteLength) / size));
  }
  chunks.push(chunk);
  return values;
}

/** Memory for chunks between reads: fresh memory costs more than reading. As many as there were reads at one time. */
const chunks: Uint8Array<ArrayBuffer>[] = [];

/** Bytes of the file from an offset on, in `room` or else in a buffer of their own; they begin where the buffer does. */
async function readExactly(handle: FileHandle, { path, offset, bytes }: { path: string; offset: number; bytes: number }, room?: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const out = room === undefined ? allocate(path, bytes) : room.subarray(0, bytes);
  let done = 0;
  while (done < bytes) {
    const { bytesRead } = await handle.read(out, done, Math.min(PIECE_BYTES, bytes - done), offset + done);
    if (bytesRead === 0) {
      throw new DeftError("safetensors.truncated", `${path}: must have ${offset + bytes} bytes, got ${offset + done}. The file is cut off; fetch or write it again.`);
    }
    done += bytesRead;
  }
  return out;
}

function allocate(path: string, bytes: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(bytes);
  } catch (cause) {
    throw new DeftError("safetensors.tooLarge", `${path}: a tensor must fit into one array, got ${bytes} bytes. Use a newer Node or a machine with more memory.`, { cause });
  }
}

interface FileIdentity {
  readonly size: number;
  readonly modified: number;
  readonly inode: number;
}

async function identityOf(path: string): Promise<FileIdentity> {
  try {
    const found = await stat(path);
    if (!found.isFile()) throw new DeftError("checkpoint.unreadable", `${path}: must be a file, got something else. Check the path.`);
    return { size: found.size, modified: found.mtimeMs, inode: found.ino };
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** Opens the file for one read, so that a source may be dropped without closing it, and checks that it is still the same file. */
async function withHandle<T>(path: string, identity: FileIdentity, read: (handle: FileHandle) => Promise<T>): Promise<T> {
  let handle: FileHandle;
  try {
    handle = await open(path, "r");
  } catch (cause) {
    throw unreadable(path, cause);
  }
  try {
    const now = await handle.stat();
    if (now.size !== identity.size || now.mtimeMs !== identity.modified || now.ino !== identity.inode) {
      throw new DeftError("safetensors.changed", `${path}: must stay as it was when opened, got another size, time or file. Open it again.`);
    }
    return await read(handle);
  } finally {
    await handle.close();
  }
}

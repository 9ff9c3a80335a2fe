import { join } from "node:path";
import { DeftError, type NamedArray, type TensorSource } from "@deft-js/core";
import { isPlainName } from "../files/atomic-folder.ts";
import { isJsonObject, readJsonObject } from "../files/json.ts";
import { openSafetensors, readParameter, type SafetensorsFile } from "../safetensors/reader.ts";

/** Name of the index of a model in several files. */
export const INDEX_NAME = "model.safetensors.index.json";
const MAX_SHARDS = 10_000;

/** Tensors in memory as a source. @throws DeftError `safetensors.duplicate` when a name comes twice. */
export function memorySource(tensors: Iterable<NamedArray>): TensorSource {
  const byName = new Map<string, NamedArray>();
  for (const tensor of tensors) {
    if (byName.has(tensor.name)) throw new DeftError("safetensors.duplicate", `memorySource: names must be unique, got ${tensor.name} twice. Rename one.`);
    byName.set(tensor.name, tensor);
  }
  const get = (name: string): NamedArray => byName.get(name) ?? missing("memorySource", name);
  return { names: () => [...byName.keys()], shape: (name) => get(name).shape, read: (name) => get(name).values };
}

/**
 * The files that an index names, checked: plain names of safetensors files in the index's own folder.
 * @returns file by tensor name
 * @throws DeftError `checkpoint.index`, `checkpoint.missing` without the file.
 */
export async function readIndex(path: string): Promise<Map<string, string>> {
  const index = await readJsonObject(path, { code: "checkpoint.index", maxBytes: 64 * 1024 * 1024 });
  const weights = index["weight_map"];
  if (!isJsonObject(weights)) throw new DeftError("checkpoint.index", `${path}: weight_map must be an object, got ${typeof weights}. Fetch the file again.`);
  for (const file of Object.values(weights)) {
    if (typeof file !== "string" || !isPlainName(file) || !file.endsWith(".safetensors")) {
      throw new DeftError("checkpoint.index", `${path}: shards must be safetensors files in the same folder, got ${JSON.stringify(file)}. Fetch the file again.`);
    }
  }
  const map = new Map(Object.entries(weights) as [string, string][]);
  const shards = new Set(map.values()).size;
  if (shards > MAX_SHARDS) throw new DeftError("checkpoint.index", `${path}: may name ${MAX_SHARDS} shards at most, got ${shards}. Fetch the file again.`);
  return map;
}

/**
 * A source over the shards of an index; every shard's header is read at once.
 * @throws DeftError `checkpoint.index` when index and shards disagree, `checkpoint.missing` when a shard is not there, `safetensors.*`.
 */
export async function openShards(folder: string): Promise<TensorSource> {
  const map = await readIndex(join(folder, INDEX_NAME));
  const shards = new Map<string, SafetensorsFile>();
  for (const file of new Set(map.values())) shards.set(file, await openSafetensors(join(folder, file)));
  requireAgreement(folder, map, shards);
  const shardOf = (name: string): SafetensorsFile => shards.get(map.get(name) ?? "") ?? missing(folder, name);
  return parameterSource([...map.keys()], shardOf);
}

/** A source over one file. @throws DeftError as `openSafetensors` */
export async function openFile(path: string): Promise<TensorSource> {
  const file = await openSafetensors(path);
  return parameterSource(file.names(), () => file);
}

/** Each name's file as one source. Its `read` throws `checkpoint.dtype` on a tensor of other numbers than floats; `readRaw` gives any. */
function parameterSource(names: readonly string[], fileOf: (name: string) => SafetensorsFile): TensorSource {
  return {
    names: () => names,
    shape: (name) => fileOf(name).shape(name),
    read: (name, room) => readParameter(fileOf(name), name, room),
    readRaw: (name) => fileOf(name).readRaw(name),
  };
}

function requireAgreement(folder: string, map: ReadonlyMap<string, string>, shards: ReadonlyMap<string, SafetensorsFile>): void {
  const held = new Map([...shards].map(([file, shard]) => [file, new Set(shard.names())]));
  for (const [name, file] of map) {
    if (!held.get(file)?.has(name)) {
      throw new DeftError("checkpoint.index", `${folder}: ${file} must hold ${name}, as the index says, got no such tensor. Fetch the shards again.`);
    }
  }
  for (const [file, names] of held) {
    for (const name of names) {
      if (map.get(name) !== file) {
        throw new DeftError("checkpoint.index", `${folder}: the index must say where ${name} is, which ${file} holds, got ${map.get(name) ?? "nothing"}. Fetch the shards again.`);
      }
    }
  }
}

function missing(who: string, name: string): never {
  throw new DeftError("checkpoint.missing", `${who}: must hold ${name}, got no such tensor. Is it the checkpoint of another model?`);
}

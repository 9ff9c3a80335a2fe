import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { readSafetensors } from "@deft-js/checkpoint";
import { intTensor, tensor } from "@deft-js/tensor";
import type { Batch, HostBatch, ModelConfig, NamedArray, TensorSource } from "@deft-js/core";

/** Named arrays of one file. */
export type Arrays = ReadonlyMap<string, NamedArray>;

/** The token ids, masks and labels of one batch, as the fixtures hold them. */
export interface FixtureBatch {
  readonly input_ids: number[][];
  readonly attention_mask: number[][];
  readonly token_type_ids?: number[][];
  readonly labels: number[] | number[][];
}

/** A JSON file of a fixture. */
export async function json<T>(folder: string, name: string): Promise<T> {
  return JSON.parse(await readFile(join(folder, name), "utf8")) as T;
}

/** The tensors of a safetensors file of a fixture. */
export async function arrays(folder: string, name: string): Promise<Arrays> {
  return (await readSafetensors(join(folder, name))).tensors;
}

export const has = (folder: string, name: string): boolean => existsSync(join(folder, name));

/** The values of a tensor that the fixture must hold. */
export function values(from: Arrays, name: string): Float32Array {
  const found = from.get(name);
  if (found === undefined) throw new Error(`fixture: ${name} is missing. Known: ${[...from.keys()].join(", ")}.`);
  return found.values;
}

/** A source of weights in memory; later maps win. */
export function sourceOf(...parts: readonly Arrays[]): TensorSource {
  const all = new Map(parts.flatMap((part) => [...part]));
  return {
    names: () => [...all.keys()],
    shape: (name) => all.get(name)?.shape ?? [],
    read: (name) => values(all, name),
  };
}

/** A fixture's batch as tensors. */
export function toBatch(from: FixtureBatch, config: ModelConfig): Batch {
  const size = from.input_ids.length;
  const seq = from.input_ids[0]?.length ?? 0;
  const flat = from.labels.flat();
  const labelSeq = Array.isArray(from.labels[0]) ? from.labels[0].length : undefined;
  const regression = config["num_labels"] === 1 || flat.some((label) => !Number.isInteger(label));
  return {
    size,
    seq,
    inputIds: intTensor(from.input_ids.flat(), [size, seq]),
    attentionMask: tensor(from.attention_mask.flat(), [size, seq]),
    tokenTypeIds: from.token_type_ids && intTensor(from.token_type_ids.flat(), [size, seq]),
    ...(regression ? { scores: tensor(flat, [size]) } : { labels: intTensor(flat, labelSeq === undefined ? [size] : [size, labelSeq]) }),
  };
}

/** The same on the host; labels only where they are class or token ids. */
export const toHostBatch = (from: FixtureBatch): HostBatch => ({
  size: from.input_ids.length,
  seq: from.input_ids[0]?.length ?? 0,
  inputIds: Int32Array.from(from.input_ids.flat()),
  attentionMask: Float32Array.from(from.attention_mask.flat()),
  tokenTypeIds: from.token_type_ids && Int32Array.from(from.token_type_ids.flat()),
  labels: Int32Array.from(from.labels.flat()),
  ...(Array.isArray(from.labels[0]) ? { labelSeq: from.labels[0].length } : {}),
});

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { formatJson, writeSafetensors, type WritableTensor } from "@deft-js/checkpoint";
import { ops, type ModelConfig, type ParameterSpec } from "@deft-js/core";

/** What is written. */
export interface SyntheticCheckpoint {
  readonly folder: string;
  readonly config: ModelConfig;
  readonly specs: readonly ParameterSpec[];
  /** Most bytes of a shard. */
  readonly shardBytes: number;
  readonly seed: number;
}

/** Values drawn once; every row of a tensor is a stretch of them, so that billions of numbers take seconds. */
const POOL = 1 << 20;
const BFLOAT16_BYTES = 2;

const sizeOf = ({ shape }: ParameterSpec): number => shape.reduce((n, d) => n * d, 1);

/**
 * Writes a Hugging Face folder of random bfloat16 weights with the model's own initial deviations: shards of at most `shardBytes`, the
 * index last. One tensor at a time is in memory.
 */
export async function writeSyntheticCheckpoint({ folder, config, specs, shardBytes, seed }: SyntheticCheckpoint): Promise<{ shards: number; bytes: number }> {
  await mkdir(folder, { recursive: true });
  const shards = shardsOf(specs, shardBytes);
  const normals = new ops.Rng(seed).normals(POOL, 1);
  const weightMap: Record<string, string> = {};
  for (const [i, shard] of shards.entries()) {
    const file = `model-${String(i + 1).padStart(5, "0")}-of-${String(shards.length).padStart(5, "0")}.safetensors`;
    await writeSafetensors(join(folder, file), shard.map((spec) => lazyTensor(spec, normals, new ops.Rng(seed).fork(spec.name))));
    for (const { name } of shard) weightMap[name] = file;
  }
  const bytes = specs.reduce((sum, spec) => sum + sizeOf(spec) * BFLOAT16_BYTES, 0);
  await writeFile(join(folder, "config.json"), formatJson({ ...config, torch_dtype: "bfloat16" }, "config"));
  await writeFile(join(folder, "model.safetensors.index.json"), formatJson({ metadata: { total_size: bytes }, weight_map: weightMap }, "index"));
  return { shards: shards.length, bytes };
}

function shardsOf(specs: readonly ParameterSpec[], limit: number): ParameterSpec[][] {
  const shards: ParameterSpec[][] = [[]];
  let held = 0;
  for (const spec of specs) {
    const bytes = sizeOf(spec) * BFLOAT16_BYTES;
    if (held > 0 && held + bytes > limit) {
      shards.push([]);
      held = 0;
    }
    shards.at(-1)?.push(spec);
    held += bytes;
  }
  return shards;
}

/** A tensor whose bytes are made when they are asked for. */
function lazyTensor(spec: ParameterSpec, normals: Float32Array, rng: ops.Rng): WritableTensor {
  return {
    name: spec.name,
    dtype: "BF16",
    shape: spec.shape,
    get bytes() {
      return bytesOf(spec, normals, rng);
    },
  };
}

function bytesOf(spec: ParameterSpec, normals: Float32Array, rng: ops.Rng): Uint8Array {
  const size = sizeOf(spec);
  const out = new Uint16Array(size);
  if (typeof spec.initial === "string") out.fill(spec.initial === "ones" ? bfloat16(Float32Array.of(1))[0] as number : 0);
  else {
    const { normal } = spec.initial;
    const width = Math.min(POOL / 2, size / (spec.shape[0] ?? 1));
    const pool = bfloat16(normals.slice(0, Math.max(2 * width, size)).map((value) => value * normal));
    for (let at = 0; at < size; at += width) {
      const from = rng.integer(pool.length - width + 1);
      out.set(pool.subarray(from, from + Math.min(width, size - at)), at);
    }
  }
  return new Uint8Array(out.buffer);
}

/** The upper halves of float32 values, rounded to nearest. */
function bfloat16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(bits.length);
  for (let i = 0; i < bits.length; i++) halves[i] = ((bits[i] as number) + 0x7fff + (((bits[i] as number) >>> 16) & 1)) >>> 16;
  return halves;
}

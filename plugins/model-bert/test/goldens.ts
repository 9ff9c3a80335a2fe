import { readFileSync } from "node:fs";
import { join } from "node:path";
import { bertFamily } from "../src/index.ts";
import { ops, type Batch, type ForwardResult, type HeadKind, type Model, type NamedArray, type TensorSource } from "@deft-js/core";

export const FIXTURES = join(import.meta.dirname, "fixtures");

/** The tensors of a float32 safetensors file. */
export function readSafetensors(path: string): Map<string, NamedArray> {
  const file = readFileSync(path);
  const start = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString("utf8", 8, start)) as Record<string, { shape: number[]; data_offsets: [number, number] }>;
  const entries = Object.entries(header).filter(([name]) => name !== "__metadata__");
  return new Map(
    entries.map(([name, { shape, data_offsets: [from, to] }]) => {
      const bytes = Uint8Array.from(file.subarray(start + from, start + to));
      return [name, { name, shape, values: new Float32Array(bytes.buffer) }];
    }),
  );
}

/** A source over arrays in memory. */
export function memorySource(tensors: Iterable<NamedArray>): TensorSource {
  const byName = new Map([...tensors].map((t) => [t.name, t]));
  const get = (name: string): NamedArray => byName.get(name) as NamedArray;
  return { names: () => [...byName.keys()], shape: (name) => get(name).shape, read: (name) => get(name).values };
}

export const readJson = (path: string): Record<string, unknown> => JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;

/** The model of a golden folder, with more tensors beside its own. */
export function goldenModel(folder: string, options: { head?: HeadKind; headName?: string; more?: Iterable<NamedArray> } = {}): Promise<Model> {
  return bertFamily.build({
    config: readJson(join(folder, "config.json")),
    head: options.head ?? "sequence-classification",
    headName: options.headName,
    source: memorySource([...readSafetensors(join(folder, "model.safetensors")).values(), ...(options.more ?? [])]),
    rng: new ops.Rng(1),
  });
}

/** The batch of a golden folder. */
export function goldenBatch(folder: string): Batch {
  const inputs = readJson(join(folder, "inputs.json")) as Record<string, number[][]>;
  const [size, seq] = [inputs["input_ids"]!.length, inputs["input_ids"]![0]!.length];
  const types = inputs["token_type_ids"];
  return {
    size,
    seq,
    inputIds: ops.intTensor(inputs["input_ids"]!.flat(), [size, seq]),
    attentionMask: ops.tensor(inputs["attention_mask"]!.flat(), [size, seq]),
    tokenTypeIds: types && ops.intTensor(types.flat(), [size, seq]),
    labels: ops.intTensor(inputs["labels"]!.flat(), [size]),
  };
}

/** The reference's density loss: mean over batch, layers, positions (padding included) and neurons of a²/(a² + ε). */
export function densityOf(result: ForwardResult, epsilon: number): ops.Tensor {
  const parts = result.activations.map(({ value }) => {
    const [batch = 0, seq = 0, neurons = 0] = value.shape;
    const weights = ops.scale(ops.ones([batch, seq]), 1 / (seq * neurons));
    return ops.mean(ops.densityPenalty(value, { epsilon, weights }));
  });
  return ops.scale(parts.reduce((a, b) => ops.add(a, b)), 1 / parts.length);
}

export const largest = (values: Float32Array): number => values.reduce((most, v) => Math.max(most, Math.abs(v)), 0);

/** The largest absolute difference; NaN when any value is. */
export function difference(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) throw new Error(`lengths ${a.length} and ${b.length}`);
  return a.reduce((most, v, i) => (Number.isNaN(v) ? NaN : Math.max(most, Math.abs(v - (b[i] as number)))), 0);
}

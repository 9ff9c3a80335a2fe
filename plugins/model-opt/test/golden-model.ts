import { join } from "node:path";
import { batchTensors, ops, type Batch, type HeadKind, type Model, type ModelConfig, type NamedArray, type TensorSource } from "@deft-js/core";
import { readFixtureBatch, readFixtureJson, readFixtureTensors } from "@deft-js/testkit";
import { optFamily } from "../src/index.ts";

export const folderOf = (name: string): string => join(import.meta.dirname, "fixtures", name);
export const configOf = (name: string): ModelConfig => readFixtureJson(join(folderOf(name), "config.json"));
export const tensorsOf = (name: string): NamedArray[] => [...readFixtureTensors(join(folderOf(name), "model.safetensors")).values()];

/** A source over arrays in memory. */
export function memorySource(tensors: Iterable<NamedArray>): TensorSource {
  const byName = new Map([...tensors].map((t) => [t.name, t]));
  const get = (name: string): NamedArray => byName.get(name) as NamedArray;
  return { names: () => [...byName.keys()], shape: (name) => get(name).shape, read: (name) => get(name).values };
}

/** The model of a golden folder. */
export const goldenModel = (name: string, head: HeadKind = "language-model", tensors = tensorsOf(name)): Promise<Model> =>
  optFamily.build({ config: configOf(name), head, source: memorySource(tensors), rng: new ops.Rng(1) });

/** The batch of a golden folder, of the enclosing scope. */
export const goldenBatch = (name: string): Batch => batchTensors(readFixtureBatch(folderOf(name)));

/** A batch of ids whose padding (id 1) is not attended to, with every token as its own label. */
export function batchOf(ids: readonly (readonly number[])[]): Batch {
  const shape = [ids.length, ids[0]?.length ?? 0];
  return {
    size: shape[0] ?? 0,
    seq: shape[1] ?? 0,
    inputIds: ops.intTensor(ids.flat(), shape),
    attentionMask: ops.tensor(ids.flat().map((id) => (id === 1 ? 0 : 1)), shape),
    labels: ops.intTensor(ids.flat().map((id) => (id === 1 ? -100 : id)), shape),
  };
}

/** The likeliest next tokens, one step at a time; finished rows are padded. Returns prompt and continuation. */
export function greedy(model: Model, batch: Batch, steps: number, { eos, pad }: { eos: number; pad: number }): number[][] {
  const prompt = ops.read(batch.inputIds);
  const rows = Array.from({ length: batch.size }, (_, r) => [...prompt.subarray(r * batch.seq, (r + 1) * batch.seq)]);
  const done = rows.map(() => false);
  const decoding = model.decode!(batch);
  let logits = ops.scope(() => [...ops.read(decoding.begin())]);
  for (let s = 0; s < steps; s++) {
    const width = logits.length / rows.length;
    const next = rows.map((_, r) => {
      const row = logits.slice(r * width, (r + 1) * width);
      return done[r] ? pad : row.indexOf(Math.max(...row));
    });
    for (const [r, id] of next.entries()) {
      rows[r]!.push(id);
      done[r] ||= id === eos;
    }
    if (s + 1 < steps) logits = ops.scope(() => [...ops.read(decoding.step(Int32Array.from(next)))]);
  }
  decoding.dispose();
  return rows;
}

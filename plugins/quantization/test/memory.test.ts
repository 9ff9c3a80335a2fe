import { loadParameters, ModelParts, ops, type ParameterSpec, type TensorSource } from "@deft-js/core";
import { expect, test } from "vitest";
import { nf4 } from "../src/index.ts";

/** The linear layers of BERT base. */
const LAYER = { "attention.self.query": [768, 768], "attention.self.key": [768, 768], "attention.self.value": [768, 768], "attention.output.dense": [768, 768], "intermediate.dense": [3072, 768], "output.dense": [768, 3072] } as const;
const specs = Array.from({ length: 12 }, (_, i) => Object.entries(LAYER).map(([name, shape]): ParameterSpec => ({ name: `bert.encoder.layer.${i}.${name}.weight`, shape, matrix: true, initial: "zeros" }))).flat();

/** Matrices of one size hold the same values. */
const values = new Map<number, Float32Array>();
const source: TensorSource = {
  names: () => specs.map(({ name }) => name),
  shape: (name) => specs.find((spec) => spec.name === name)?.shape ?? [],
  read: (name) => {
    const size = source.shape(name).reduce((n, d) => n * d, 1);
    const made = values.get(size) ?? new ops.Rng(1).normals(size, 0.02);
    values.set(size, made);
    return made;
  },
};

test("BERT base in NF4 takes at most 0.20 of its float32 linear weights", { timeout: 120_000 }, async () => {
  const { buffers } = ops.memory();
  const loaded = await loadParameters({ who: "bert", specs, source, rng: new ops.Rng(0), names: (name) => [name], ignored: [], optionalParts: [], weightFormat: () => nf4() });
  const parts = new ModelParts(specs, loaded);
  const weights = [...loaded.weights.keys()].map((path) => parts.linear({ path, stack: "encoder" }).weight);
  const dense = weights.reduce((sum, { shape: [dIn, dOut] }) => sum + dIn * dOut * 4, 0);
  const held = weights.reduce((sum, { bytes }) => sum + bytes, 0);
  expect(dense).toBe(84_934_656 * 4);
  expect(held / dense).toBeLessThan(0.2);
  expect(held / dense).toBeGreaterThan(0.125); // 4 bits of 32, and no less
  expect(ops.memory().buffers).toBe(buffers); // none of it is a dense tensor
});

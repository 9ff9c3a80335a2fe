import { join } from "node:path";
import { ops, type HeadKind, type Model, type NamedArray, type TensorSource } from "@deft-js/core";
import { readFixtureJson, readFixtureTensors } from "@deft-js/testkit";
import { t5Family } from "../src/index.ts";

export const FIXTURES = join(import.meta.dirname, "fixtures");

/** A source over arrays in memory. */
export function sourceOf(tensors: Iterable<NamedArray>): TensorSource {
  const byName = new Map([...tensors].map((t) => [t.name, t]));
  const get = (name: string): NamedArray => byName.get(name) as NamedArray;
  return { names: () => [...byName.keys()], shape: (name) => get(name).shape, read: (name) => get(name).values };
}

/** The tensors of a golden folder's model. */
export const goldenTensors = (name: string): NamedArray[] => [...readFixtureTensors(join(FIXTURES, name, "model.safetensors")).values()];

/** The model of a golden folder. */
export function goldenModel(name: string, options: { head?: HeadKind; tensors?: Iterable<NamedArray>; config?: Record<string, unknown> } = {}): Promise<Model> {
  const { head = "language-model", tensors = goldenTensors(name), config = {} } = options;
  return t5Family.build({ config: { ...readFixtureJson(join(FIXTURES, name, "config.json")), ...config }, head, source: sourceOf(tensors), rng: new ops.Rng(1) });
}

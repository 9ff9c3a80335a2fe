import { ops, type BuildOptions, type HeadKind, type HostBatch, type Model, type ModelConfig, type ModelFamily, type NamedArray, type TensorSource } from "@deft-js/core";
import { hostLogits } from "../logits.ts";

/** What the suite for model families is run on. */
export interface ModelFamilySubject {
  readonly family: ModelFamily;
  /** A small model's configuration, without dropout or with. */
  readonly config: ModelConfig;
  readonly head: HeadKind;
  /** Number of labels of a classification head. */
  readonly labels?: number | undefined;
  /** A batch with labels and padding. */
  readonly batch: HostBatch;
  readonly padId: number;
}

/** A model made for one check. */
export function build({ family, config, head, labels }: ModelFamilySubject, source?: TensorSource, seed = 1): Promise<Model> {
  const options: BuildOptions = { config, head, labels, source, rng: new ops.Rng(seed) };
  return family.build(options);
}

/** Runs a check's body on a model with random weights and disposes it. */
export async function onModel(subject: ModelFamilySubject, body: (model: Model) => void | Promise<void>): Promise<void> {
  const model = await build(subject);
  try {
    await body(model);
  } finally {
    model.dispose();
  }
}

/** The logits of a batch on the host. */
export function logitsOf(model: Model, host: HostBatch): Float32Array {
  return hostLogits(model, host).values;
}

/** Arrays as a source. */
export function sourceOf(arrays: Iterable<NamedArray>): TensorSource {
  const byName = new Map([...arrays].map((array) => [array.name, array]));
  const found = (name: string): NamedArray => byName.get(name) as NamedArray;
  return { names: () => [...byName.keys()], shape: (name) => found(name).shape, read: (name) => found(name).values };
}

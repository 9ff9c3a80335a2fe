import { existsSync } from "node:fs";
import { join } from "node:path";
import { DeftError, type CheckpointStore, type NamedArray, type TrainingState } from "@deft-js/core";
import { loadTrainingState, saveTrainingState } from "@deft-js/checkpoint";

/** Keeps a training's states as `last.safetensors` and `best.safetensors` in a folder; each is replaced as a whole. */
export function fileCheckpoints(folder: string): CheckpointStore {
  const fileOf = (kind: "last" | "best"): string => join(folder, `${kind}.safetensors`);
  return {
    async save(kind, { variables, moments, ...json }) {
      const file = fileOf(kind);
      const tensors = [...variables.map((array) => named("variable", array)), ...moments.map((array) => named("moment", array))];
      await saveTrainingState(file, { json: finite(json) as Record<string, unknown>, tensors });
      return file;
    },
    async load(kind) {
      const file = fileOf(kind);
      if (!existsSync(file)) return undefined;
      const { json, tensors } = await loadTrainingState(file);
      if (typeof json["step"] !== "number" || typeof json["cursor"] !== "object")
        throw new DeftError("checkpoint.state", `${file}: must hold a training state, got another file. Give the folder of an earlier run.`);
      return { ...json, variables: arrays("variable", tensors), moments: arrays("moment", tensors) } as unknown as TrainingState;
    },
  };
}

function named(kind: string, { name, shape, values }: NamedArray): NamedArray {
  return { name: `${kind}:${name}`, shape, values };
}

function arrays(kind: string, tensors: ReadonlyMap<string, NamedArray>): readonly NamedArray[] {
  const prefix = `${kind}:`;
  return [...tensors.values()].filter(({ name }) => name.startsWith(prefix)).map(({ name, shape, values }) => ({ name: name.slice(prefix.length), shape, values }));
}

/** Plain JSON: numbers that JSON lacks become null, what is undefined goes. */
export function finite(value: unknown): unknown {
  if (typeof value === "number") return Number.isFinite(value) ? value : null;
  if (Array.isArray(value)) return value.map(finite);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined).map(([key, item]) => [key, finite(item)]));
}

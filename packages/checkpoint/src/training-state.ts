import { DeftError, type NamedArray } from "@deft-js/core";
import { parseJsonObject, requirePlain, type JsonObject } from "./files/json.ts";
import { readSafetensors } from "./safetensors/reader.ts";
import { writeSafetensors } from "./safetensors/writer.ts";

/** What a training run needs to go on where it stood: plain data and float32 arrays. */
export interface TrainingState {
  readonly json: Readonly<JsonObject>;
  readonly tensors: Iterable<NamedArray>;
}

/** A training state as it was read. */
export interface LoadedTrainingState {
  readonly json: JsonObject;
  readonly tensors: Map<string, NamedArray>;
}

const FORMAT = "deft-training-state-1";

/**
 * Saves a training state as one file: a safetensors file whose metadata holds the JSON. The rename of one file is atomic, so that the path
 * holds the earlier state or the new one at every moment, and never one's tensors with the other's JSON. float32 bits are kept as they are.
 * @throws DeftError `checkpoint.json` on what JSON would change in silence (NaN, infinities), `checkpoint.unwritable`, `safetensors.*`.
 */
export async function saveTrainingState(path: string, { json, tensors }: TrainingState): Promise<void> {
  requirePlain(json, "saveTrainingState: json");
  await writeSafetensors(path, tensors, { metadata: { format: FORMAT, json: JSON.stringify(json) } });
}

/**
 * Reads a training state back.
 * @throws DeftError `checkpoint.missing` when there is none, `checkpoint.state` when the file is not a training state, `safetensors.*`.
 */
export async function loadTrainingState(path: string): Promise<LoadedTrainingState> {
  const { tensors, metadata } = await readSafetensors(path);
  const { format, json } = metadata;
  if (format !== FORMAT || json === undefined) {
    throw new DeftError("checkpoint.state", `${path}: must be a training state (${FORMAT}), got ${JSON.stringify(format) ?? "another file"}. Give the path of a saved state.`);
  }
  return { json: parseJsonObject(new TextEncoder().encode(json), { who: path, code: "checkpoint.state" }), tensors };
}

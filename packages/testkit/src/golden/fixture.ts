import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ops, type AdapterConfigReader, type Attachment, type HostBatch, type Model, type NamedArray, type TensorSource } from "@deft-js/core";

/** Tensors by name. */
export type Tensors = ReadonlyMap<string, NamedArray>;

/** The float32 tensors of a safetensors file that the tests trust; anything else belongs into the checkpoint package's reader. */
export function readFixtureTensors(path: string): Map<string, NamedArray> {
  const file = readFileSync(path);
  const start = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString("utf8", 8, start)) as Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;
  return new Map(
    Object.entries(header).flatMap(([name, { dtype, shape, data_offsets: [from, to] = [0, 0] }]) =>
      dtype === "F32" ? [[name, { name, shape, values: new Float32Array(Uint8Array.from(file.subarray(start + from, start + to)).buffer) }]] : [],
    ),
  );
}

/** A JSON object in a file. */
export function readFixtureJson(path: string): Record<string, unknown> {
  return JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
}

/** The batch in a fixture's inputs.json: lists of rows under the library's names. */
export function readFixtureBatch(folder: string): HostBatch {
  const inputs = readFixtureJson(join(folder, "inputs.json")) as { input_ids: number[][]; attention_mask: number[][]; token_type_ids?: number[][]; labels: number[] | number[][] };
  const [size, seq] = [inputs.input_ids.length, inputs.input_ids[0]?.length ?? 0];
  const [firstLabel] = inputs.labels;
  return {
    size,
    seq,
    inputIds: Int32Array.from(inputs.input_ids.flat()),
    attentionMask: Float32Array.from(inputs.attention_mask.flat()),
    tokenTypeIds: inputs.token_type_ids && Int32Array.from(inputs.token_type_ids.flat()),
    labels: Int32Array.from(inputs.labels.flat()),
    labelSeq: Array.isArray(firstLabel) ? firstLabel.length : undefined,
  };
}

/** A source of a model's weights over tensors in memory; later ones of a name win. */
export function fixtureSource(tensors: Iterable<NamedArray>): TensorSource {
  const byName = new Map([...tensors].map((array) => [array.name, array]));
  const get = (name: string): NamedArray => byName.get(name) as NamedArray;
  return { names: () => [...byName.keys()], shape: (name) => get(name).shape, read: (name) => get(name).values };
}

/** What another library saved as an adapter: its configuration and its tensors. */
export interface FixtureAdapter {
  readonly config: Readonly<Record<string, unknown>>;
  readonly tensors: Tensors;
}

/** The adapter in a fixture's folder. */
export function readFixtureAdapter(folder: string, file: "adapter_model" | "pytorch_adapter"): FixtureAdapter {
  return { config: readFixtureJson(join(folder, "adapter", "adapter_config.json")), tensors: readFixtureTensors(join(folder, "adapter", `${file}.safetensors`)) };
}

/** The adapter attached to a model, as the reader of its configuration understands it; `name` is its name in AdapterHub's keys. */
export function attachFixture(model: Model, reader: AdapterConfigReader, { config, tensors }: FixtureAdapter, name = "mytask"): Attachment {
  const method = reader.read(config);
  if (method === undefined) throw new Error(`fixture: the reader must know the configuration, got undefined for ${JSON.stringify(config)}`);
  const attachment = method.attach(model, new ops.Rng(2));
  attachment.layouts?.[reader.layout]?.read(tensors, name);
  return attachment;
}

import { ops, type StoredTensor, type TensorSource, type WeightLayout } from "@deft-js/core";
import { demand } from "../check.ts";
import { sameBits } from "../compare.ts";
import { encoded, fileValues, PATH, SIZES, type WeightFormatSubject } from "./subject.ts";

/** Bytes of an element. Source: the enumeration in huggingface/safetensors, without the dtypes that share bytes. */
const DTYPE_BYTES: Readonly<Record<string, number>> = {
  F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8, I32: 4, I16: 2, I8: 1, U64: 8, U32: 4, U16: 2, U8: 1, BOOL: 1, F8_E4M3: 1, F8_E5M2: 1, F8_E8M0: 1, C64: 8,
};

/** A weight in a layout's tensors, beside others of the model, and back. */
export async function demandStored(subject: WeightFormatSubject, layout: WeightLayout): Promise<void> {
  for (const [, dIn, dOut] of SIZES) {
    const weight = encoded(subject, dOut, dIn);
    const tensors = layout.write(PATH, weight);
    demand(tensors !== undefined, `write: the layout ${layout.id} must have a place for ${weight.format}, got none`);
    const others = denseTensors(dOut);
    demandTensors(tensors, others);
    const config = { model_type: "toy", ...layout.describe(new Map([[PATH, weight]]), ["classifier"]) };
    const source = storedSource([...others, ...tensors]);
    const opened = await layout.open(config, source);
    demand(opened !== undefined, `open: must know the configuration that describe gave, got ${JSON.stringify(config)}`);
    demand(Object.keys(opened.config).join() === "model_type", `open: must take its own keys out of the configuration, got ${Object.keys(opened.config).join()}`);
    const name = `${PATH}.weight`;
    const [names, shown] = [[name, ...others.map((other) => other.name)], opened.source.names()].map((list) => [...list].sort().join(", ")) as [string, string];
    demand(shown === names, `open: must show ${names}, got ${shown}`);
    demand(opened.source.shape(name).join() === `${dOut},${dIn}`, `open: the shape must be [${dOut},${dIn}], got [${opened.source.shape(name)}]`);
    const again = await opened.source.weight?.(name);
    demand(again !== undefined && again.format === weight.format, `open: must give the weight as ${weight.format}, got ${again?.format}`);
    demand(sameBits(fileValues(again), fileValues(weight)), "open: the weight must stand for the same values, got others");
    demand(sameBits(await opened.source.read(name), fileValues(weight)), "read: must give the values that the weight stands for, got others");
    for (const other of others) await demandUntouched(opened.source, other);
    demand((await layout.open({ model_type: "toy" }, source)) === undefined, "open: must pass over a configuration that does not name the layout");
    for (const made of [weight, again]) made.dispose();
  }
}

/** What a model's folder holds beside the weight: a matrix that stays dense, the weight's own bias, an embedding. */
function denseTensors(dOut: number): readonly StoredTensor[] {
  const shapes = { "classifier.weight": [3, 6], [`${PATH}.bias`]: [dOut], "toy.embeddings.weight": [11, 6] };
  return Object.entries(shapes).map(([name, shape]) => {
    const values = new ops.Rng(4).fork(name).normals(shape.reduce((n, d) => n * d, 1), 1);
    return { name, dtype: "F32", shape, bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
  });
}

function demandTensors(tensors: readonly StoredTensor[], others: readonly StoredTensor[]): void {
  const names = [...others, ...tensors].map(({ name }) => name);
  demand(new Set(names).size === names.length, `write: names must be unique and of no other parameter, got ${names.join(", ")}`);
  for (const { name, dtype, shape, bytes } of tensors) {
    const size = DTYPE_BYTES[dtype];
    demand(size !== undefined, `write: the dtype of ${name} must be one of ${Object.keys(DTYPE_BYTES).join(", ")}, got ${dtype}`);
    const expected = shape.reduce((n, d) => n * d, size);
    demand(bytes.byteLength === expected, `write: ${name} must hold ${expected} bytes for ${dtype} [${shape}], got ${bytes.byteLength}`);
  }
}

async function demandUntouched(source: TensorSource, other: StoredTensor): Promise<void> {
  const { name, shape } = other;
  demand(source.shape(name).join() === shape.join(), `open: the shape of ${name} must stay [${shape}], got [${source.shape(name)}]`);
  const claimed = source.weight?.(name);
  claimed?.catch(() => undefined);
  demand(claimed === undefined, `weight: must be undefined for ${name}, which is dense, got a promise`);
  demand(sameBits(await source.read(name), floats(other)), `read: must give the stored values of ${name}, got others`);
}

/** Stored tensors as a file's source. */
function storedSource(tensors: readonly StoredTensor[]): TensorSource {
  const find = (name: string): StoredTensor => {
    const found = tensors.find((tensor) => tensor.name === name);
    demand(found !== undefined, `write: must store what open asks for, got no ${name}`);
    return found;
  };
  return { names: () => tensors.map(({ name }) => name), shape: (name) => find(name).shape, read: (name) => floats(find(name)), readRaw: (name) => Promise.resolve(find(name)) };
}

/** The values of a float32 tensor; none of another, which only its bytes tell. */
function floats({ dtype, bytes }: StoredTensor): Float32Array {
  return dtype === "F32" ? new Float32Array(bytes.slice().buffer) : new Float32Array(0);
}

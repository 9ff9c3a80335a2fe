import { DenseWeight, ops, transposeMatrix, type StoredTensor, type TensorSource, type Weight, type WeightFormat, type WeightLayout } from "@deft-js/core";
import { demand, type Check } from "../check.ts";
import { demandClose, sameBits } from "../compare.ts";
import { tapeGradients } from "../gradient-check.ts";
import { toyBatch, toyModel } from "../toy-model.ts";

/** What the suite for weight formats is run on. */
export interface WeightFormatSubject {
  /** The configured format, which accepts any path. */
  format(): WeightFormat;
  /** What a matrix [dOut, dIn] stands for once it is encoded, where that is known exactly; this or `error` must be given. */
  expected?(values: Float32Array, shape: { readonly dOut: number; readonly dIn: number }): Float32Array;
  /** How far an encoded value may be from the given one, as a share of the greatest |value|; checked where `expected` is left out. */
  readonly error?: number;
  /** The most bytes that a matrix may hold. */
  bytes(dOut: number, dIn: number): number;
  /** A layout that can store it in a model folder, and what config.json then says is enough to find it again. */
  readonly layout?: WeightLayout | undefined;
}

/** [rows, dIn, dOut]: one row and several, whole blocks and odd lengths. */
const SIZES = [[1, 64, 8], [3, 128, 16], [12, 64, 24], [2, 7, 5], [11, 33, 9]] as const;
const PATH = "toy.encoder.layer.0.attention.self.query";

/** The contract of `WeightFormat` and its weights as checks; run each with the tests' own `it`. */
export function weightFormatChecks(subject: WeightFormatSubject): readonly Check[] {
  const layout = subject.layout;
  return [
    { name: "stands for the values that it was given", run: () => demandValues(subject) },
    { name: "applies as its dense matrix does", run: () => demandProduct(subject) },
    { name: "has the input gradient of its dense matrix", run: () => demandGradient(subject) },
    { name: "tells its bytes and names its encoding", run: () => demandBytes(subject) },
    { name: "keeps neither the given values nor tensors", run: () => demandNothingKept(subject) },
    { name: "takes its place in a model, and is exported dense", run: () => demandInModel(subject) },
    ...(layout === undefined ? [] : [{ name: `comes back from the layout ${layout.id}`, run: () => demandStored(subject, layout) }]),
  ];
}

/** Normal values with an exact zero. */
function given(dOut: number, dIn: number): Float32Array {
  const values = new ops.Rng(3).fork(`${dOut}/${dIn}`).normals(dOut * dIn, 0.1);
  values[0] = 0;
  return values;
}

function encoded({ format }: WeightFormatSubject, dOut: number, dIn: number): Weight {
  return format().encode(PATH, given(dOut, dIn), { dOut, dIn });
}

/** The matrix that a weight stands for in file layout, [dOut, dIn]. */
function fileValues(weight: Weight): Float32Array {
  return transposeMatrix(ops.scope(() => ops.read(weight.dense())), weight.shape[0], weight.shape[1]);
}

function demandValues(subject: WeightFormatSubject): void {
  for (const [, dIn, dOut] of SIZES) {
    const weight = encoded(subject, dOut, dIn);
    demand(weight.shape.join() === `${dIn},${dOut}`, `shape: must be [dIn, dOut] = [${dIn},${dOut}], got [${weight.shape}]`);
    const [values, actual] = [given(dOut, dIn), fileValues(weight)];
    const expected = subject.expected?.(values, { dOut, dIn });
    if (expected !== undefined) demand(sameBits(actual, expected), `dense of [${dOut},${dIn}]: must be what the format makes of the values, got others`);
    else demandClose({ name: `dense of [${dOut},${dIn}]`, actual, expected: values, tolerance: subject.error ?? 0, relativeTo: "max" });
    weight.dispose();
  }
}

function demandProduct(subject: WeightFormatSubject): void {
  for (const [rows, dIn, dOut] of SIZES) {
    const weight = encoded(subject, dOut, dIn);
    ops.scope(() => {
      const rng = new ops.Rng(rows);
      const [x, bias] = [ops.tensor(rng.normals(rows * dIn, 1), [1, rows, dIn]), ops.tensor(rng.normals(dOut, 1), [dOut])];
      for (const b of [bias, undefined]) {
        const [y, dense] = [weight.apply(x, b), ops.linear(x, weight.dense(), { bias: b })];
        demand(y.shape.join() === `1,${rows},${dOut}`, `apply: the shape must be [1,${rows},${dOut}], got [${y.shape}]`);
        demandClose({ name: `apply of ${rows} rows to [${dIn},${dOut}]`, actual: ops.read(y), expected: ops.read(dense), tolerance: 1e-5, relativeTo: "max" });
      }
    });
    weight.dispose();
  }
}

function demandGradient(subject: WeightFormatSubject): void {
  for (const [rows, dIn, dOut] of SIZES) {
    const weight = encoded(subject, dOut, dIn);
    const rng = new ops.Rng(rows);
    const x = ops.Variable.from("x", rng.normals(rows * dIn, 1), [rows, dIn]);
    const b = ops.Variable.from("b", rng.normals(dOut, 1), [dOut]);
    const upstream = rng.normals(rows * dOut, 1);
    const through = (y: () => ops.Tensor) => tapeGradients(() => ops.sum(ops.mul(y(), ops.tensor(upstream, [rows, dOut]))), [x, b]);
    const [actual, expected] = [through(() => weight.apply(x.value, b.value)), through(() => ops.linear(x.value, weight.dense(), { bias: b.value }))];
    for (const [path, values] of expected) demandClose({ name: `gradient by ${path} through [${dIn},${dOut}]`, actual: actual.get(path) ?? [], expected: values, tolerance: 1e-5, relativeTo: "max" });
    for (const made of [weight, x, b]) made.dispose();
  }
}

function demandBytes(subject: WeightFormatSubject): void {
  for (const [, dIn, dOut] of SIZES) {
    const weight = encoded(subject, dOut, dIn);
    const most = subject.bytes(dOut, dIn);
    demand(weight.bytes > 0 && weight.bytes <= most, `bytes of [${dOut},${dIn}]: must be ${most} at most, got ${weight.bytes}`);
    demand(weight.encoding?.id === subject.format().id, `encoding: must be the format ${subject.format().id}, got ${weight.encoding?.id}`);
    weight.dispose();
  }
}

function demandNothingKept(subject: WeightFormatSubject): void {
  const { tensors } = ops.memory();
  const values = given(16, 64);
  const weight = subject.format().encode(PATH, values, { dOut: 16, dIn: 64 });
  const before = fileValues(weight);
  values.fill(9);
  demand(sameBits(fileValues(weight), before), "encode: must not keep the array that it was given, got other values when that changed");
  ops.scope(() => void weight.apply(ops.ones([2, 64])));
  weight.dispose();
  demand(ops.memory().tensors === tensors, `dispose: must leave no tensor, got ${ops.memory().tensors - tensors}`);
}

async function demandInModel(subject: WeightFormatSubject): Promise<void> {
  const model = await toyModel();
  const batch = toyBatch();
  try {
    const site = model.sites("linear").find(({ path }) => path === PATH);
    demand(site?.weight !== undefined, `toy model: must have ${PATH}`);
    const [dIn, dOut] = site.weight.shape;
    const name = `${PATH}.weight`;
    const values = [...model.exportParameters()].find((array) => array.name === name)?.values as Float32Array;
    const weight = subject.format().encode(PATH, values, { dOut, dIn });
    model.replaceWeight(PATH, weight);
    const logits = (): Float32Array => ops.scope(() => ops.read(model.forward(batch).logits));
    const [actual, exported] = [logits(), [...model.exportParameters()].find((array) => array.name === name)?.values as Float32Array];
    demand(sameBits(exported, fileValues(weight)), "exportParameters: must give the dense matrix that the weight stands for, got others");
    const dense = ops.scope(() => new DenseWeight(ops.Variable.from(name, ops.read(weight.dense()), [dIn, dOut], { trainable: false })));
    model.replaceWeight(PATH, dense);
    demandClose({ name: "logits", actual, expected: logits(), tolerance: 1e-5, relativeTo: "max" });
  } finally {
    model.dispose();
    for (const tensor of Object.values(batch)) if (typeof tensor === "object") (tensor as ops.Tensor).dispose();
  }
}

async function demandStored(subject: WeightFormatSubject, layout: WeightLayout): Promise<void> {
  for (const [, dIn, dOut] of SIZES) {
    const weight = encoded(subject, dOut, dIn);
    const tensors = layout.write(PATH, weight);
    demand(tensors !== undefined, `write: the layout ${layout.id} must have a place for ${weight.format}, got none`);
    const config = { model_type: "toy", ...layout.describe(new Map([[PATH, weight]]), ["classifier"]) };
    const opened = await layout.open(config, storedSource(tensors));
    demand(opened !== undefined, `open: must know the configuration that describe gave, got ${JSON.stringify(config)}`);
    demand(Object.keys(opened.config).join() === "model_type", `open: must take its own keys out of the configuration, got ${Object.keys(opened.config).join()}`);
    const name = `${PATH}.weight`;
    demand(opened.source.names().join() === name, `open: must show ${name} alone, got ${opened.source.names().join()}`);
    demand(opened.source.shape(name).join() === `${dOut},${dIn}`, `open: the shape must be [${dOut},${dIn}], got [${opened.source.shape(name)}]`);
    const again = await opened.source.weight?.(name);
    demand(again !== undefined && again.format === weight.format, `open: must give the weight as ${weight.format}, got ${again?.format}`);
    demand(sameBits(fileValues(again), fileValues(weight)), "open: the weight must stand for the same values, got others");
    demand(sameBits(await opened.source.read(name), fileValues(weight)), "read: must give the values that the weight stands for, got others");
    demand((await layout.open({ model_type: "toy" }, storedSource(tensors))) === undefined, "open: must pass over a configuration that does not name the layout");
    for (const made of [weight, again]) made.dispose();
  }
}

/** Stored tensors as a file's source. */
function storedSource(tensors: readonly StoredTensor[]): TensorSource {
  const find = (name: string): StoredTensor => {
    const found = tensors.find((tensor) => tensor.name === name);
    demand(found !== undefined, `write: must store what open asks for, got no ${name}`);
    return found;
  };
  return { names: () => tensors.map(({ name }) => name), shape: (name) => find(name).shape, read: () => new Float32Array(0), readRaw: (name) => Promise.resolve(find(name)) };
}

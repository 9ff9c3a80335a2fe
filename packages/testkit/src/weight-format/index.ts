import { isDeepStrictEqual } from "node:util";
import { DenseWeight, ops } from "@deft-js/core";
import { demand, type Check } from "../check.ts";
import { demandClose, sameBits } from "../compare.ts";
import { tapeGradients } from "../gradient-check.ts";
import { toyBatch, toyModel } from "../toy-model.ts";
import { demandStored } from "./layout.ts";
import { encoded, fileValues, given, PATH, SIZES, type WeightFormatSubject } from "./subject.ts";

/** The contract of `WeightFormat` and its weights as checks; run each with the tests' own `it`. */
export function weightFormatChecks(subject: WeightFormatSubject): readonly Check[] {
  const layout = subject.layout;
  return [
    { name: "stands for the values that it was given", run: () => demandValues(subject) },
    { name: "holds zeros as zeros", run: () => demandZeros(subject) },
    { name: "applies as its dense matrix does", run: () => demandProduct(subject) },
    { name: "has the input gradient of its dense matrix", run: () => demandGradient(subject) },
    { name: "tells its bytes and names its encoding", run: () => demandBytes(subject) },
    { name: "encodes the same by its encoding", run: () => demandEncoding(subject) },
    { name: "keeps neither the given values nor tensors", run: () => demandNothingKept(subject) },
    { name: "takes its place in a model, and is exported dense", run: () => demandInModel(subject) },
    ...(layout === undefined ? [] : [{ name: `comes back from the layout ${layout.id}`, run: () => demandStored(subject, layout) }]),
  ];
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

/** Scales of a block of zeros are a division by 0 away from NaN. */
function demandZeros(subject: WeightFormatSubject): void {
  for (const [, dIn, dOut] of SIZES)
    for (const what of ["a matrix", "a row"] as const) {
      const isZero = (i: number): boolean => what === "a matrix" || Math.floor(i / dIn) === 1;
      const weight = subject.format().encode(PATH, given(dOut, dIn).map((value, i) => (isZero(i) ? 0 : value)), { dOut, dIn });
      const actual = fileValues(weight);
      const bad = actual.findIndex((value, i) => (isZero(i) ? value !== 0 : !Number.isFinite(value)));
      demand(bad < 0, `dense of [${dOut},${dIn}] with ${what} of zeros: must be 0 there and finite elsewhere, got ${actual[bad]} at ${bad}`);
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

/** What a merge encodes its result with, and a checkpoint records: the format itself, told by its options. */
function demandEncoding(subject: WeightFormatSubject): void {
  const { options } = subject.format();
  for (const [, dIn, dOut] of SIZES) {
    const weight = encoded(subject, dOut, dIn);
    const { encoding } = weight;
    demand(encoding !== undefined, "encoding: must be there, got none");
    const recorded: unknown = JSON.parse(JSON.stringify(encoding.options));
    demand(isDeepStrictEqual(recorded, encoding.options), `encoding: options must be plain JSON, got ${JSON.stringify(recorded)} back`);
    demand(isDeepStrictEqual(recorded, options), `encoding: options must be the format's ${JSON.stringify(options)}, got ${JSON.stringify(recorded)}`);
    const again = encoding.encode(PATH, given(dOut, dIn), { dOut, dIn });
    demand(sameBits(fileValues(again), fileValues(weight)), `encoding: must encode [${dOut},${dIn}] as the format does, got other values`);
    for (const made of [weight, again]) made.dispose();
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

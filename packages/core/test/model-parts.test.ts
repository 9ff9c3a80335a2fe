import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { activatedLinear, classificationLoss, contextDropout, DenseWeight, evaluationContext, loadParameters, ModelParts, ops, tokenLoss, trainingContext, transposeMatrix, type Batch, type LoadOptions, type NamedArray, type ParameterSpec, type TensorSource, type Weight } from "../src/index.ts";

const { read, Rng, scope, tensor, intTensor, Variable } = ops;

const specs: ParameterSpec[] = [
  { name: "m.a.weight", shape: [2, 3], matrix: true, initial: { normal: 0.5 } },
  { name: "m.a.bias", shape: [2], initial: "zeros" },
  { name: "m.table", shape: [3, 2], initial: { normal: 1, zeroRow: 1 } },
  { name: "m.norm", shape: [2], initial: "ones", aliases: ["m.gain"] },
  { name: "head.weight", shape: [1, 2], matrix: true, initial: { normal: 1 }, part: "head" },
  { name: "head.bias", shape: [1], initial: "zeros", part: "head" },
];

const full = (): NamedArray[] => specs.map(({ name, shape }, k) => ({ name, shape, values: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => 10 * k + i) }));

function source(tensors: readonly NamedArray[]): TensorSource {
  const get = (name: string) => tensors.find((t) => t.name === name)!;
  return { names: () => tensors.map((t) => t.name), shape: (name) => get(name).shape, read: (name) => get(name).values };
}

const load = (tensors: readonly NamedArray[] | undefined, more: Partial<LoadOptions> = {}) =>
  loadParameters({ who: "toy", specs, source: tensors && source(tensors), rng: new Rng(3), names: (name) => [name, name.replace(/^m\./, "")], ignored: [/^buffer$/], optionalParts: ["head"], ...more });

describe("loadParameters", () => {
  it("holds matrices [dIn, dOut] and everything else as it is, frozen", async () => {
    const { variables, initialised } = await load(full());
    expect(variables.get("m.a.weight")!.shape).toEqual([3, 2]);
    expect([...variables.get("m.a.weight")!.data()]).toEqual([0, 3, 1, 4, 2, 5]);
    expect([...variables.get("m.table")!.data()]).toEqual([20, 21, 22, 23, 24, 25]);
    expect([...variables.values()].map((v) => v.trainable)).toEqual(specs.map(() => false));
    expect(initialised.size).toBe(0);
  });

  it("does not share memory with the source", async () => {
    const tensors = full();
    const { variables } = await load(tensors);
    for (const t of tensors) t.values.fill(-1);
    expect([...variables.get("m.a.bias")!.data()]).toEqual([10, 11]);
  });

  it("takes other names that a file may use, and passes over those on the list", async () => {
    const renamed = full().map((t) => ({ ...t, name: t.name === "m.norm" ? "gain" : t.name.replace(/^m\./, "") }));
    const { variables } = await load([...renamed, { name: "buffer", shape: [1], values: new Float32Array(1) }]);
    expect([...variables.get("m.norm")!.data()]).toEqual([30, 31]);
  });

  it("initialises an optional part that is wholly absent, and no other", async () => {
    const { variables, initialised } = await load(full().filter((t) => !t.name.startsWith("head.")));
    expect([...initialised]).toEqual(["head"]);
    expect([...variables.get("head.bias")!.data()]).toEqual([0]);
    await expect(load(full().filter((t) => t.name !== "head.bias"))).rejects.toMatchObject({ code: "checkpoint.missing", message: expect.stringContaining("head.bias") });
  });

  it("initialises everything without a source, each parameter from its own stream", async () => {
    const { variables } = await load(undefined);
    const alone = await load(undefined, { specs: specs.slice(2, 3) });
    const table = [...variables.get("m.table")!.data()];
    expect(table).toEqual([...alone.variables.get("m.table")!.data()]);
    expect(table.slice(2, 4)).toEqual([0, 0]);
    expect(table.filter((v) => v === 0)).toHaveLength(2);
    expect([...variables.get("m.norm")!.data()]).toEqual([1, 1]);
    expect([...variables.values()].every((v) => v.trainable)).toBe(true);
  });

  it("names whatever single tensor is missing, unexpected or misshapen, and leaves no tensor behind", async () => {
    const before = ops.memory().tensors;
    await fc.assert(
      fc.asyncProperty(fc.nat(3), fc.constantFrom("missing", "unexpected", "shape", "damaged"), async (k, fault) => {
        const tensors = full();
        const victim = tensors[k]!;
        if (fault === "missing") tensors.splice(k, 1);
        if (fault === "unexpected") tensors.push({ ...victim, name: `${victim.name}x` });
        if (fault === "shape") tensors[k] = { ...victim, shape: [...victim.shape, 1] };
        if (fault === "damaged") tensors[k] = { ...victim, values: victim.values.subarray(1) };
        const code = fault === "damaged" ? "checkpoint.shape" : `checkpoint.${fault}`;
        await expect(load(tensors)).rejects.toMatchObject({ code, message: expect.stringContaining(victim.name) });
      }),
      { numRuns: 24 },
    );
    expect(ops.memory().tensors).toBe(before);
  });
});

describe("ModelParts", () => {
  const build = async () => {
    const parts = new ModelParts(specs, await load(full()));
    return { parts, linear: parts.linear({ path: "m.a", stack: "encoder", layer: 0 }) };
  };

  it("runs a linear site by its parameters", async () => {
    const { linear } = await build();
    expect([linear.dIn, linear.dOut]).toEqual([3, 2]);
    expect(scope(() => [...read(linear.forward(tensor([1, 0, 2], [1, 3]), evaluationContext))])).toEqual([14, 24]); // rows of W: (0,1,2), (3,4,5); b = (10, 11)
  });

  it("writes what it read", async () => {
    const { parts } = await build();
    expect([...parts.exportParameters()]).toEqual(full());
  });

  it("finds sites by kind and path, whatever the flags of the pattern", async () => {
    const { parts, linear } = await build();
    const pattern = /a$/g;
    for (let i = 0; i < 2; i++) expect(parts.sites("linear", pattern)).toEqual([linear]);
    expect(parts.sites("linear", /b$/)).toEqual([]);
    expect(parts.sites("mlp")).toEqual([]);
  });

  it("puts another weight in a linear site's place and writes the matrix that it stands for", async () => {
    const { parts, linear } = await build();
    const old = parts.parameter("m.a.weight").value;
    const zeros: Weight = { shape: [3, 2], format: "zeros", bytes: 0, apply: (_x, bias) => ops.reshape(bias!, [1, 2]), dense: () => ops.zeros([3, 2]), dispose: () => undefined };
    parts.replaceWeight("m.a", zeros);
    expect(old.isDisposed).toBe(true);
    expect(parts.parameters().has("m.a.weight")).toBe(false);
    expect(scope(() => [...read(linear.forward(tensor([1, 0, 2], [1, 3]), evaluationContext))])).toEqual([10, 11]);
    expect([...parts.exportParameters()][0]).toEqual({ name: "m.a.weight", shape: [2, 3], values: new Float32Array(6) });
    parts.replaceWeight("m.a", new DenseWeight(Variable.from("m.a.weight", Float32Array.of(1, 2, 3, 4, 5, 6), [3, 2])));
    expect([...[...parts.exportParameters()][0]!.values]).toEqual([1, 3, 5, 2, 4, 6]);
    expect(parts.parameters().has("m.a.weight")).toBe(true);
  });

  it("refuses a weight for an unknown path or of another shape", async () => {
    const { parts } = await build();
    const weight = new DenseWeight(Variable.from("w", new Float32Array(6), [2, 3]));
    expect(() => parts.replaceWeight("m.b", weight)).toThrow(expect.objectContaining({ code: "model.site" }));
    expect(() => parts.replaceWeight("m.a", weight)).toThrow(expect.objectContaining({ code: "weight.shape" }));
    expect(() => new DenseWeight(Variable.from("w", new Float32Array(6), [6]))).toThrow(expect.objectContaining({ code: "weight.shape" }));
  });

  it("disposes what it owns", async () => {
    const before = ops.memory().tensors;
    const { parts } = await build();
    parts.dispose();
    expect(ops.memory().tensors).toBe(before);
  });
});

describe("activatedLinear", () => {
  it("gives the same values and gradients fused and site by site", async () => {
    const parts = new ModelParts(specs, await load(full()));
    const linear = parts.linear({ path: "m.a", stack: "encoder" });
    const site = parts.site({ kind: "activation", path: "m.act", stack: "encoder", dIn: 2, dOut: 2 });
    const x = Variable.from("x", Float32Array.of(-1, 0.1, -1.5, 0.2, -3, 0.3), [2, 3]);
    const run = () =>
      scope(() => {
        let y: ops.Tensor | undefined;
        const { gradients } = ops.valueAndGradients(() => ops.sum((y = activatedLinear({ linear, site, activation: "gelu" }, x.value, evaluationContext))), [x, parts.parameter("m.a.weight"), linear.bias!]);
        return [y!, ...gradients.values()].map((t) => [...read(t)]);
      });
    const fused = run();
    const undo = [linear.wrap((input, base) => base(input)), site.wrap((input, base) => base(input))];
    expect(run()).toEqual(fused);
    for (const u of undo) u();
    expect(run()).toEqual(fused);
  });
});

describe("context", () => {
  it("draws the same seeds again from the same stream, and none in evaluation", () => {
    const draw = () => Array.from({ length: 3 }, ((context) => () => context.nextSeed())(trainingContext(new Rng(5))));
    expect(draw()).toEqual(draw());
    expect(new Set(draw()).size).toBe(3);
    expect(() => evaluationContext.nextSeed()).toThrow(expect.objectContaining({ code: "model.seed" }));
    const x = ops.ones([4]);
    expect(contextDropout(x, 0.5, evaluationContext)).toBe(x);
    const dropped = read(contextDropout(ops.ones([1000]), 0.5, trainingContext(new Rng(5))));
    expect(new Set(dropped)).toEqual(new Set([0, 2]));
  });
});

describe("losses", () => {
  const batch = (more: Partial<Batch>): Batch => ({ size: 2, seq: 2, inputIds: intTensor([0, 0, 0, 0], [2, 2]), attentionMask: ops.ones([2, 2]), ...more });
  const value = (t: ops.Tensor) => read(t)[0]!;

  it("is the squared error for one label and cross entropy for more", () => {
    expect(value(classificationLoss(tensor([1, 3], [2, 1]), batch({ scores: tensor([0, 1], [2]) })))).toBeCloseTo(2.5, 6);
    expect(value(classificationLoss(tensor([0, 0, 0, 0], [2, 2]), batch({ labels: intTensor([0, 1], [2]) })))).toBeCloseTo(Math.log(2), 6);
    expect(() => classificationLoss(ops.ones([2, 1]), batch({}))).toThrow(expect.objectContaining({ code: "model.labels" }));
    expect(() => classificationLoss(ops.ones([2, 2]), batch({}))).toThrow(expect.objectContaining({ code: "model.labels" }));
  });

  it("counts labelled tokens only and passes over a prompt's rows", () => {
    const labels = intTensor([1, -100, -100, 0], [2, 2]);
    const logits = [9, 9, 0, Math.log(3), 5, 5, 1, 1, 2, 7, Math.log(3), 0]; // [2, 3, 2]: one prompt row in front of each
    const expected = Math.log(4 / 3); // both counted rows: −log(3/4)
    expect(value(tokenLoss(tensor(logits, [2, 3, 2]), batch({ labels })))).toBeCloseTo(expected, 6);
    expect(() => tokenLoss(ops.ones([2, 1, 2]), batch({ labels }))).toThrow(expect.objectContaining({ code: "model.labels" }));
    expect(() => tokenLoss(ops.ones([2, 2, 2]), batch({ labels: intTensor([1, 1], [2]) }))).toThrow(expect.objectContaining({ code: "model.labels" }));
    expect(() => tokenLoss(ops.ones([2, 2, 2]), batch({}))).toThrow(expect.objectContaining({ code: "model.labels" }));
  });
});

describe("transposeMatrix", () => {
  it("is its own inverse with the sizes exchanged, for sizes past the tile too", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 1, max: 70 }), (rows, columns) => {
        const values = Float32Array.from({ length: rows * columns }, (_, i) => i);
        const turned = transposeMatrix(values, rows, columns);
        expect(turned[(columns - 1) * rows]).toBe(columns - 1);
        expect(transposeMatrix(turned, columns, rows)).toEqual(values);
      }),
      { numRuns: 50 },
    );
  });
});

import { batchTensors, DenseWeight, ops, transposeMatrix, type HostBatch, type Model, type WeightFormat } from "@deft-js/core";
import { toyModel, weightFormatChecks } from "@deft-js/testkit";
import { describe, expect, it } from "vitest";
import type { MaskedWeight} from "../src/index.ts";
import { columnNorms, examples, masked, packMask, pruneModel, pruneOptions, unpadded, type PruneSettings } from "../src/index.ts";

const BATCH: HostBatch = {
  size: 2, seq: 4, inputIds: Int32Array.of(1, 4, 2, 0, 3, 5, 6, 2), attentionMask: Float32Array.of(1, 1, 1, 0, 1, 1, 1, 1), labels: Int32Array.of(1, 0),
};
const rows = [...unpadded([BATCH], "positions")];

const matrix = (model: Model, path: string): Float32Array => ops.scope(() => ops.read(model.sites("linear").find((site) => site.path === path)!.weight!.dense()));
const pruned = async (settings: PruneSettings) => {
  const model = await toyModel();
  const before = new Map(model.sites("linear").map(({ path }) => [path, matrix(model, path)]));
  const report = await pruneModel(model, pruneOptions(settings), examples(model, rows));
  return { model, before, report };
};

it("refuses patterns and what does not go with them before anything runs, and a calibration without examples", async () => {
  for (const settings of [{ magnitude: { pattern: "4:2" } }, { wanda: { pattern: "0:4" } }, { magnitude: { pattern: "2:2" } }, { magnitude: { pattern: "2:4", scope: "row" as const } }])
    expect(() => pruneOptions(settings), JSON.stringify(settings)).toThrow(expect.objectContaining({ code: "options.invalid" }));
  const model = await toyModel();
  await expect(pruneModel(model, pruneOptions({ wanda: {} }), examples(model, []))).rejects.toMatchObject({ code: "prune.calibration" });
});

describe("calibration", () => {
  it("runs each example by itself and without its padding", () => {
    expect(rows.map(({ size, seq }) => [size, seq])).toEqual([[1, 3], [1, 4]]);
    expect([...rows[0]!.inputIds]).toEqual([1, 4, 2]);
    expect([...rows[0]!.labels!]).toEqual([1]);
  });

  it("cuts labels with the positions that they belong to, and a target's at its end", () => {
    const causal: HostBatch = { ...BATCH, labels: Int32Array.of(7, 8, 9, -100, 1, 2, 3, 4), labelSeq: 4 };
    expect([...unpadded([causal], "positions")].map(({ labels }) => [...labels!])).toEqual([[7, 8, 9], [1, 2, 3, 4]]);
    const seq2seq: HostBatch = { ...BATCH, labels: Int32Array.of(7, -100, -100, -100, 2, 3), labelSeq: 3 };
    expect([...unpadded([seq2seq], "target")].map(({ labels }) => [...labels!])).toEqual([[7], [-100, 2, 3]]);
    const asLong: HostBatch = { ...BATCH, labels: Int32Array.of(7, 8, 9, 1, 2, 3, -100, -100), labelSeq: 4 }; // a target may be as long as the input
    expect([...unpadded([asLong], "target")].map(({ labels }) => [...labels!])).toEqual([[7, 8, 9, 1], [2, 3]]);
  });

  it("sums squares over positions and takes the mean over examples", async () => {
    const model = await toyModel();
    const [site] = model.sites("linear", /query$/);
    const inputs: number[][] = [];
    const undo = site!.wrap((x, base) => {
      inputs.push([...ops.read(x)]);
      return base(x);
    });
    for (const row of rows) ops.scope(() => void model.forward(batchTensors(row)));
    undo();
    const { dIn } = site!;
    const expected = Array.from({ length: dIn }, (_, j) => inputs.reduce((sum, x) => sum + x.filter((_, i) => i % dIn === j).reduce((s, v) => s + v * v, 0), 0) / 2);
    const norms = (await columnNorms([site!], examples(model, rows))).get(site!.path)!;
    for (const [j, value] of expected.entries()) expect(norms[j]).toBeCloseTo(value, 5);
    model.dispose();
  });
});

describe("pruneModel", () => {
  it("puts 0 where weights are removed and leaves the others' bits", async () => {
    const { model, before, report } = await pruned({ magnitude: { sparsity: 0.5, scope: "row" } });
    expect(report.layers.length).toBeGreaterThan(0);
    for (const { path, sparsity } of report.layers) {
      const [held, whole] = [matrix(model, path), before.get(path)!];
      expect(held.filter((value) => value === 0).length / held.length).toBeCloseTo(sparsity, 12);
      for (const [i, value] of held.entries()) if (value !== 0) expect(value).toBe(whole[i]);
    }
    model.dispose();
  });

  it("scores a layer on the outputs of the pruned ones before it", async () => {
    const { model, report } = await pruned({ wanda: { sparsity: 0.5 } });
    expect(report.sparsity).toBeCloseTo(0.5, 1);
    const again = await toyModel();
    const [first] = [...new Set(again.sites("linear", /\.layer\./).map(({ layer }) => layer))];
    const late = again.sites("linear", /\.layer\./).filter(({ layer }) => layer !== first);
    const unprunedNorms = await columnNorms(late, examples(again, rows));
    const prunedNorms = await columnNorms(model.sites("linear", /\.layer\./).filter(({ layer }) => layer !== first), examples(model, rows));
    expect(late.length).toBeGreaterThan(0);
    expect([...prunedNorms.values()].map((norms) => [...norms])).not.toEqual([...unprunedNorms.values()].map((norms) => [...norms]));
    model.dispose();
    again.dispose();
  });

  it("leaves heads whole and says what it can prune", async () => {
    const model = await toyModel();
    await expect(pruneModel(model, pruneOptions({ magnitude: { target: "^classifier$" } }))).rejects.toThrow(/must match a linear layer/);
    await expect(pruneModel(model, pruneOptions({ wanda: {} }))).rejects.toThrow(/must have examples/);
    model.dispose();
  });

  it("leaves no tensor behind", async () => {
    const model = await toyModel();
    await pruneModel(model, pruneOptions({ wanda: {} }), examples(model, rows));
    const { tensors } = ops.memory();
    await pruneModel(model, pruneOptions({ wanda: {} }), examples(model, rows));
    expect(ops.memory().tensors).toBe(tensors);
    model.dispose();
  });
});

describe("the mask", () => {
  const removed = Uint8Array.of(1, 0, 0, 1, 0, 1);
  const format = masked(packMask(removed));

  it("stays when a changed matrix is encoded as the weight is held", () => {
    const weight = format.encode("a", Float32Array.of(1, 2, 3, 4, 5, 6), { dOut: 2, dIn: 3 }); // [dOut, dIn]
    const merged = weight.encoding!.encode("a", Float32Array.of(9, 8, 7, 6, 5, 4), { dOut: 2, dIn: 3 });
    expect([...ops.scope(() => ops.read(weight.dense()))]).toEqual([0, 0, 2, 5, 3, 0]); // [dIn, dOut]
    expect([...ops.scope(() => ops.read(merged.dense()))]).toEqual([0, 0, 8, 5, 7, 0]);
    expect((merged as MaskedWeight).sparsity).toBe(0.5);
    expect(weight.bytes).toBe(6 * 4 + 1);
    weight.dispose();
    merged.dispose();
  });

  it("grows when a pruned layer is pruned again, whatever holds the rest", async () => {
    const model = await toyModel();
    const [site] = model.sites("linear");
    const { path } = site!;
    const halves: WeightFormat = { id: "halves", options: {}, encode: (name, values, { dOut, dIn }) => Object.assign(new DenseWeight(ops.Variable.from(name, transposeMatrix(values, dOut, dIn), [dIn, dOut], { trainable: false })), { encoding: halves }) };
    const pruned = async (sparsity: number) => (await pruneModel(model, pruneOptions({ magnitude: { sparsity, target: `^${path}$` } }))).layers[0]!.sparsity;
    const zeros = () => [...ops.scope(() => ops.read(site!.weight!.dense()))].map((value) => value === 0);
    expect(await pruned(0.5)).toBeCloseTo(0.5, 1);
    const before = zeros();
    model.replaceWeight(path, site!.weight!.encoding!.over!(halves).encode(path, transposeMatrix(ops.scope(() => ops.read(site!.weight!.dense())), ...site!.weight!.shape), { dOut: site!.dOut, dIn: site!.dIn }));
    expect(await pruned(0.2)).toBeCloseTo(0.5, 1);
    expect(zeros()).toEqual(before);
    expect(await pruned(0.75)).toBeCloseTo(0.75, 1);
    expect(zeros().filter((zero, i) => before[i] && !zero)).toEqual([]);
    expect(site!.weight!.encoding!.options).toEqual({ inner: { halves: {} } });
    model.dispose();
  });

  it("goes around another format", () => {
    const halves = { id: "halves", options: { by: 2 }, encode: (path: string, values: Float32Array, { dOut, dIn }: { dOut: number; dIn: number }) => {
      const held = Float32Array.from({ length: dIn * dOut }, (_, i) => (values[(i % dOut) * dIn + Math.floor(i / dOut)] as number) / 2);
      return new DenseWeight(ops.Variable.from(path, held, [dIn, dOut], { trainable: false }));
    } };
    const weight = format.over!(halves).encode("a", Float32Array.of(2, 4, 6, 8, 10, 12), { dOut: 2, dIn: 3 });
    expect([...ops.scope(() => ops.read(weight.dense()))]).toEqual([0, 0, 2, 5, 3, 0]);
    expect(weight.encoding?.options).toEqual({ inner: { halves: { by: 2 } } });
    weight.dispose();
  });
});

describe("masked weights", () => {
  const nothing = (dOut: number, dIn: number) => packMask(new Uint8Array(dOut * dIn));
  const half = { id: "masked", options: {}, encode: (path: string, values: Float32Array, shape: { dOut: number; dIn: number }) => masked(packMask(values.map((_, i) => i % 2) as unknown as Uint8Array)).encode(path, values, shape) };
  const subject = { format: () => half, expected: (values: Float32Array) => values.map((value, i) => (i % 2 === 1 ? 0 : value)), bytes: (dOut: number, dIn: number) => dOut * dIn * 4 + nothing(dOut, dIn).byteLength };
  for (const { name, run } of weightFormatChecks(subject)) it(name, run);
});

import { batchTensors, mlpBlocks, ops, type Model } from "@deft-js/core";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { predictorExecution, type RowWeight } from "../src/index.ts";
import { binaryCrossEntropy, Predictor, type Observations } from "../src/predictor.ts";
import { ALWAYS, BACKENDS, batches, bert, difference, NEVER, start, t5 } from "./models.ts";

const options = { breakEven: ALWAYS, upBreakEven: ALWAYS, rank: 8, steps: 40 };
const context = () => ({ rng: new ops.Rng(1), calibration: () => batches });

let models: Model[] = [];
const kept = async (made: Promise<Model>): Promise<Model> => {
  models.push(await made);
  return made;
};
afterEach(() => {
  for (const model of models) model.dispose();
  models = [];
});

const logits = (model: Model): Float32Array => ops.scope(() => ops.read(model.forward(batchTensors(batches[0]!)).logits));

/** Neuron j is active where x_j > 0; neuron 3 never is. */
function observations(tokens: number, seed: number): Observations {
  const inputs = new ops.Rng(seed).normals(tokens * 4, 1);
  return { tokens, dModel: 4, dFf: 4, inputs, active: Uint8Array.from(inputs, (x, i) => Number(i % 4 !== 3 && x > 0)) };
}

describe.each(BACKENDS)("predictors on %s", (backend) => {
  beforeAll(() => start(backend));

  test("the loss of σ(s): ln 2 at 0, nearly 0 where it is right and |s| where it is wrong", () => {
    const of = (s: number, t: number): number => ops.scope(() => ops.read(binaryCrossEntropy(ops.tensor([s], [1, 1]), ops.tensor([t], [1, 1])))[0]!);
    expect(of(0, 1)).toBeCloseTo(Math.log(2), 6);
    expect(of(20, 1)).toBeCloseTo(0, 6);
    expect(of(-20, 1)).toBeCloseTo(20, 5);
    expect(of(2, 0)).toBeCloseTo(2 + Math.log(1 + Math.exp(-2)), 5);
  });

  test("it starts from each neuron's rate and learns what its input tells", () => {
    const seen = observations(512, 1);
    const settings = { path: "mlp", rank: 4, steps: 120, learningRate: 0.05, recall: 0.95, rng: new ops.Rng(2) };
    const predictor = new Predictor(settings, seen);
    const count = seen.active.filter((v, i) => i % 4 === 3 && v === 1).length;
    expect(count).toBe(0);
    expect(predictor.variables[2].data()[3]).toBeCloseTo(Math.log(1 / 513), 5);
    const before = predictor.calibrate(0.95, observations(128, 3));
    predictor.train(settings, seen);
    const after = predictor.calibrate(0.95, observations(128, 3));
    expect(after.recall).toBeGreaterThanOrEqual(0.95);
    expect(after.recall).toBeLessThan(0.96);
    expect(after.active).toBeCloseTo(3 / 8, 1);
    expect(after.computed).toBeLessThan(0.42);
    expect(before.computed).toBeGreaterThan(after.computed + 0.1);
    const mask = ops.scope(() => ops.read(predictor.predict(ops.tensor([3, -3, 3, 3], [1, 4]))));
    expect([...mask]).toEqual([1, 0, 1, 0]);
    predictor.dispose();
  });

  test("with every neuron active and found it is the dense model; else another; uninstalled, the very bits", async () => {
    const model = await kept(t5("gated-gelu"));
    const before = logits(model);
    const tensors = ops.memory().tensors;
    const all = await predictorExecution({ ...options, density: 1, recall: 1, steps: 1, batches: 8 }).install(model, context());
    const [layer] = all.report()["layers"] as { predictor: { recall: number; computed: number; active: number } }[];
    expect(layer!.predictor).toMatchObject({ recall: 1 });
    all.uninstall();
    expect(logits(model)).toEqual(before);
    expect(ops.memory().tensors).toBe(tensors);
    await predictorExecution({ ...options, density: 0.1 }).install(model, context());
    expect(difference(logits(model), before)).toBeGreaterThan(1e-3);
  });

  test.each(["gated-gelu", "relu"] as const)("the value does not depend on which way is taken, and the installation is repeatable (%s)", async (kind) => {
    const outputs: Float32Array[] = [];
    for (const points of [ALWAYS, NEVER]) {
      const model = await kept(t5(kind));
      const installed = await predictorExecution({ ...options, breakEven: points, upBreakEven: points }).install(model, context());
      outputs.push(logits(model));
      const before = ops.memory().tensors;
      logits(model);
      expect(ops.memory().tensors).toBe(before);
      for (const { predictor } of installed.report()["layers"] as { predictor: { recall: number; computed: number } }[]) {
        expect(predictor.recall).toBeGreaterThanOrEqual(0.95);
        expect(predictor.computed).toBeLessThanOrEqual(1);
      }
    }
    expect(difference(outputs[0]!, outputs[1]!)).toBeLessThan(1e-5);
  });

  test("a block that no token reaches is passed over", async () => {
    const model = await kept(bert());
    const [block] = mlpBlocks(model);
    const undo = block!.mlp.wrap((x) => ops.scale(x, 0)); // as a plan skips it
    const before = logits(model);
    const installed = await predictorExecution(options).install(model, context());
    expect(installed.report()["layers"]).toMatchObject([{ path: block!.down.path }]);
    expect((installed.report()["layers"] as { predictor?: unknown }[])[0]!.predictor).toBeUndefined();
    expect(logits(model)).toEqual(before);
    installed.uninstall();
    undo();
  });

  test("what is attached to the up-projection does not wake what is predicted inactive", async () => {
    const model = await kept(bert());
    await predictorExecution(options).install(model, context());
    const [block] = mlpBlocks(model);
    const zeros: number[] = [];
    block!.down.wrap((x, base) => (zeros.push(ops.read(x).filter((v) => v === 0).length), base(x)), "post");
    logits(model);
    block!.up.wrap((x, base) => ops.add(base(x), ops.scalar(100)));
    logits(model);
    expect(zeros[1]).toBeGreaterThan(0);
  });
});

test.skipIf(BACKENDS.length < 2)("what is predicted inactive is not computed: NaN in its weights does not come through", async () => {
  await start("native");
  const model = await kept(bert());
  const [block] = mlpBlocks(model);
  // three neurons in four can never be active
  const bias = model.parameters().get(`${block!.up.path}.bias`)!;
  bias.load(bias.data().map((_, i) => (i % 4 === 0 ? 0 : -1000)));
  const installed = await predictorExecution({ ...options, density: 1, recall: 1 }).install(model, context());
  const before = logits(model);
  const poisoned = (variable: ops.Variable): void => variable.load(variable.data().map((v, i) => (Math.floor(i / 16) % 4 === 0 ? v : NaN)));
  poisoned((block!.up.weight as RowWeight).variable);
  poisoned(model.parameters().get(`${block!.down.path}.weight`)!);
  expect(before.every(Number.isFinite)).toBe(true);
  expect(difference(logits(model), before)).toBeLessThan(1e-5);
  const [layer] = installed.report()["layers"] as { up: { calls: number; skipped: number; density: number } }[];
  expect(layer!.up.skipped).toBe(layer!.up.calls);
  expect(layer!.up.density).toBeLessThanOrEqual(0.25);
});

test("what it lacks is named", async () => {
  await start("cpu");
  const model = await kept(bert());
  await expect(Promise.resolve().then(() => predictorExecution().install(model, { rng: new ops.Rng(1) }))).rejects.toMatchObject({ code: "execution.calibration" });
  for (const wrong of [{ rank: 0 }, { recall: 0 }, { batches: 1 }, { density: 2 }]) expect(() => predictorExecution(wrong)).toThrow(expect.objectContaining({ code: "options.invalid" }));
});

import { batchTensors, generate, mlpBlocks, ops, type HostBatch, type Model } from "@deft-js/core";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { gateThresholdExecution, sparseExecution, type RowWeight } from "../src/index.ts";
import { ALWAYS, BACKENDS, batches, bert, difference, NEVER, start, t5 } from "./models.ts";

const context = { rng: new ops.Rng(1), calibration: () => batches };
const options = { breakEven: ALWAYS, upBreakEven: ALWAYS };

let models: Model[] = [];
const gatedModel = async (): Promise<Model> => {
  const model = await t5("gated-gelu");
  models.push(model);
  return model;
};
afterEach(() => {
  for (const model of models) model.dispose();
  models = [];
});

const logits = (model: Model): Float32Array => ops.scope(() => ops.read(model.forward(batchTensors(batches[0]!)).logits));

/** Closes every gate whose number is not a multiple of four. */
function closeGates(model: Model): void {
  for (const { activation } of mlpBlocks(model)) activation.wrap((x, base) => ops.mul(base(x), ops.tensor(Float32Array.from({ length: 32 }, (_, i) => Number(i % 4 === 0)), [32])));
}

describe.each(BACKENDS)("gated MLPs on %s", (backend) => {
  beforeAll(() => start(backend));

  test("exact execution gives the dense outputs and generates the same; uninstalled, the very bits", async () => {
    const model = await gatedModel();
    closeGates(model);
    const before = logits(model);
    const generated = (await generate(model, batches[1]!, { maxNewTokens: 4 })).ids;
    const installed = await sparseExecution(options).install(model, context);
    expect(difference(logits(model), before)).toBeLessThan(1e-5);
    expect((await generate(model, batches[1]!, { maxNewTokens: 4 })).ids).toEqual(generated);
    installed.uninstall();
    expect(logits(model)).toEqual(before);
  });

  test("it keeps the number of tensors, and gives back what it turned", async () => {
    const model = await gatedModel();
    const before = ops.memory().tensors;
    const installed = await sparseExecution(options).install(model, context);
    logits(model);
    const during = ops.memory().tensors;
    logits(model);
    expect(ops.memory().tensors).toBe(during);
    installed.uninstall();
    installed.uninstall();
    expect(ops.memory().tensors).toBe(before);
    expect(mlpBlocks(model).map(({ up }) => up.weight?.format)).toEqual(["dense", "dense"]);
  });

  test("a neuron whose |gate| is at most the threshold is left out, by hand", async () => {
    const model = await gatedModel();
    // the share 0.25 of the gates is kept: the threshold is the magnitude below which three in four lie
    const installed = await gateThresholdExecution({ ...options, density: 0.25 }).install(model, context);
    const layers = installed.report()["layers"] as { threshold: number }[];
    const [block] = mlpBlocks(model);
    const seen: { gate?: Float32Array; product?: Float32Array } = {};
    block!.activation.wrap((x, base) => { const y = base(x); seen.gate = ops.read(y); return y; }, "post");
    block!.down.wrap((x, base) => { seen.product = ops.read(x); return base(x); }, "post");
    logits(model);
    const { threshold } = layers[0]!;
    expect(threshold).toBeGreaterThan(0);
    const small = [...seen.gate!].map((gate) => Math.abs(gate) <= threshold);
    expect([...seen.product!].map((value) => value === 0)).toEqual(small);
    expect(small.filter((is) => !is).length / small.length).toBeCloseTo(0.25, 1);
  });

  test("what is attached to the linear branch comes through a gate at most the threshold no more than the branch does", async () => {
    const model = await gatedModel();
    for (const { up } of mlpBlocks(model)) up.wrap((x, base) => ops.add(base(x), ops.scalar(0.5)));
    await gateThresholdExecution({ ...options, density: 0.25 }).install(model, context);
    let product: Float32Array = new Float32Array();
    mlpBlocks(model)[0]!.down.wrap((x, base) => { product = ops.read(x); return base(x); }, "post");
    logits(model);
    expect(product.filter((value) => value === 0).length / product.length).toBeCloseTo(0.75, 1);
  });

  test("thresholds are of all batches, and lie between the values that were seen", async () => {
    const model = await gatedModel();
    const many = batches.map((batch): HostBatch => ({ ...batch, size: 400, seq: 32, inputIds: Int32Array.from({ length: 12_800 }, (_, i) => batch.inputIds[i % 32]!), attentionMask: new Float32Array(12_800).fill(1), labels: new Int32Array(1200).fill(1) }));
    const thresholdOf = async (count: number): Promise<number> => {
      const installed = await gateThresholdExecution({ ...options, density: 0.25, batches: count }).install(model, { rng: new ops.Rng(1), calibration: () => many });
      const [{ threshold } = { threshold: 0 }] = installed.report()["layers"] as { threshold: number }[];
      installed.uninstall();
      return threshold;
    };
    const found = [await thresholdOf(1), await thresholdOf(2), await thresholdOf(3)];
    expect(new Set(found).size).toBe(3);
    const gates = new Set<number>();
    mlpBlocks(model)[0]!.activation.wrap((x, base) => { const y = base(x); for (const value of ops.read(y)) gates.add(Math.abs(value)); return y; }, "post");
    for (const host of many) ops.scope(() => void model.forward(batchTensors(host)));
    expect(found.filter((threshold) => gates.has(threshold))).toEqual([]);
  });

  test("the value of a threshold does not depend on which way is taken", async () => {
    const outputs: Float32Array[] = [];
    for (const points of [ALWAYS, NEVER]) {
      const model = await gatedModel();
      await gateThresholdExecution({ breakEven: points, upBreakEven: points, density: 0.25 }).install(model, context);
      outputs.push(logits(model));
    }
    expect(difference(outputs[0]!, outputs[1]!)).toBeLessThan(1e-5);
    expect(difference(outputs[0]!, logits(await gatedModel()))).toBeGreaterThan(1e-3);
  });

  test("what is attached to the linear branch stays around it", async () => {
    const model = await gatedModel();
    closeGates(model);
    for (const { up } of mlpBlocks(model)) up.wrap((x, base) => ops.add(base(x), ops.scalar(0.5)));
    const before = logits(model);
    await sparseExecution(options).install(model, context);
    expect(difference(logits(model), before)).toBeLessThan(1e-5);
  });
});

describe.skipIf(BACKENDS.length < 2)("what is skipped", () => {
  beforeAll(() => start("native"));

  test("closed gates' rows of the linear branch and of the down-projection are not multiplied by: NaN in them does not come through", async () => {
    const model = await gatedModel();
    closeGates(model);
    const before = logits(model);
    const installed = await sparseExecution(options).install(model, context);
    for (const { up, down } of mlpBlocks(model)) {
      const rows = (up.weight as RowWeight).variable;
      rows.load(rows.data().map((v, i) => (Math.floor(i / 16) % 4 === 0 ? v : NaN)));
      const variable = model.parameters().get(`${down.path}.weight`)!;
      variable.load(variable.data().map((v, i) => (Math.floor(i / 16) % 4 === 0 ? v : NaN)));
    }
    expect(difference(logits(model), before)).toBeLessThan(1e-5);
    const [layer] = installed.report()["layers"] as { up: { calls: number; skipped: number; density: number } }[];
    expect(layer!.up).toEqual({ calls: 1, skipped: 1, density: 0.25 });
  });

  test("where skipping never pays the linear branch stays as it is", async () => {
    const model = await gatedModel();
    await sparseExecution({ breakEven: ALWAYS, upBreakEven: NEVER }).install(model, context);
    expect(mlpBlocks(model).map(({ up }) => up.weight?.format)).toEqual(["dense", "dense"]);
  });

  test("measured break-even points of the linear branch are reported", async () => {
    const model = await gatedModel();
    const before = ops.memory().tensors;
    const installed = await sparseExecution().install(model, context);
    installed.uninstall();
    expect(ops.memory().tensors).toBe(before);
    const points = (installed.report()["upBreakEven"] as Record<string, { rows: number; density: number }[]>)["16x32"];
    expect(points?.map(({ rows }) => rows)).toEqual([1, 8, 32, 128, 512]);
    expect(points?.every(({ density }) => density >= 0 && density <= 0.95)).toBe(true);
  });
});

test("a model without gates and missing calibration are named", async () => {
  await start("cpu");
  const model = await bert();
  models.push(model);
  const failing = (options: object, given = context): Promise<unknown> => Promise.resolve().then(() => gateThresholdExecution(options).install(model, given));
  await expect(failing({})).rejects.toMatchObject({ code: "execution.sites", message: "gate-threshold: the MLP blocks must be gated, f(x·W₀)⊙(x·W₁), got none that is. Use threshold."  });
  await expect(Promise.resolve().then(async () => gateThresholdExecution().install(await gatedModel(), { rng: context.rng }))).rejects.toMatchObject({ code: "execution.calibration" });
});

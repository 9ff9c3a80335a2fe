import { AdapterSet, attachmentOf, changeVariable, mlpBlocks, ops, replaceMatrix, type HostBatch, type Model, type PeftMethod } from "@deft-js/core";
import { nativeStatus, registerNative } from "@deft-js/plugin-backend-native";
import { bertFamily } from "@deft-js/plugin-model-bert";
import { toyBatch, toyModel } from "@deft-js/testkit";
import { useBackend } from "@deft-js/tensor";
import "@tensorflow/tfjs-backend-cpu";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { largestWinning } from "../src/break-even.ts";
import { breakEvenOf, sparseExecution, thresholdExecution, topKExecution } from "../src/index.ts";

const ALWAYS = [{ rows: 1, density: 1 }];
const host: HostBatch = { size: 2, seq: 4, inputIds: Int32Array.of(1, 4, 2, 7, 3, 5, 6, 2), attentionMask: new Float32Array(8).fill(1), labels: Int32Array.of(2, 0) };
const context = { rng: new ops.Rng(1), calibration: () => [host] };

const BACKENDS = nativeStatus().built ? ["cpu", "native"] : ["cpu"];
const start = async (id: string): Promise<void> => {
  if (id === "native") registerNative();
  await useBackend(id);
};

let models: Model[] = [];
const made = async (model: Promise<Model>): Promise<Model> => {
  models.push(await model);
  return model;
};
afterEach(() => {
  for (const model of models) model.dispose();
  models = [];
});

const logits = (model: Model): Float32Array => ops.scope(() => ops.read(model.forward(toyBatch()).logits));
const difference = (a: Float32Array, b: Float32Array): number => a.reduce((most, v, i) => Math.max(most, Math.abs(v - (b[i] ?? NaN))), 0);

describe.each(BACKENDS)("on %s", (backend) => {
  beforeAll(() => start(backend));

  test("exact execution gives the dense outputs, and uninstalled the very bits", async () => {
    const model = await made(toyModel());
    const before = logits(model);
    const installed = await sparseExecution({ breakEven: ALWAYS }).install(model, context);
    expect(difference(logits(model), before)).toBeLessThan(1e-5);
    installed.uninstall();
    expect(logits(model)).toEqual(before);
  });

  test("it computes with what a set of adapters has merged, and leaves that in place", async () => {
    const model = await made(toyModel());
    const set = new AdapterSet(model);
    const method: PeftMethod = {
      id: "tripled", options: {},
      attach: (on) => {
        const sites = on.sites("linear", /dense$/);
        return attachmentOf({ method, variables: [], undo: sites.map((site) => site.wrap((x, base) => ops.scale(base(x), 3))), fold: () => sites.forEach((site) => (replaceMatrix(on, site, "tripled", (matrix) => ops.scale(matrix, 3)), changeVariable(site.bias!, (bias) => ops.scale(bias, 3)))) });
      },
    };
    const plain = logits(model);
    set.add("a", method, new ops.Rng(1));
    set.use("a");
    const wrapped = logits(model);
    expect(difference(wrapped, plain)).toBeGreaterThan(1e-3);
    for (const around of [() => undefined, () => set.merge()]) {
      around();
      const installed = await sparseExecution({ breakEven: ALWAYS }).install(model, context);
      expect(difference(logits(model), wrapped)).toBeLessThan(1e-5);
      installed.uninstall();
      expect(difference(logits(model), wrapped)).toBeLessThan(1e-5);
    }
    set.unmerge();
    set.without();
    expect(logits(model)).toEqual(plain);
  });

  test("it keeps the number of tensors", async () => {
    const model = await made(toyModel());
    await sparseExecution({ breakEven: ALWAYS }).install(model, context);
    logits(model);
    const before = ops.memory().tensors;
    logits(model);
    expect(ops.memory().tensors).toBe(before);
  });

  test("gradients flow through it as through the dense product", async () => {
    const model = await made(toyModel());
    const variable = model.parameters().get("toy.encoder.layer.0.attention.self.query.weight") as ops.Variable;
    variable.trainable = true;
    const gradient = (): Float32Array => ops.scope(() => {
      const batch = toyBatch();
      return ops.read(ops.valueAndGradients(() => model.loss(model.forward(batch), batch), [variable]).gradients.get(variable.path) as ops.Tensor);
    });
    const before = gradient();
    await sparseExecution({ breakEven: ALWAYS }).install(model, context);
    expect(difference(gradient(), before)).toBeLessThan(1e-5);
  });

  test("what is attached to the down-projection stays around it", async () => {
    const model = await made(toyModel());
    for (const { down } of mlpBlocks(model)) down.wrap((x, base) => ops.scale(base(x), 2));
    const before = logits(model);
    await sparseExecution({ breakEven: ALWAYS }).install(model, context);
    expect(difference(logits(model), before)).toBeLessThan(1e-5);
  });

  test("thresholds keep the asked share of neurons on the calibration data", async () => {
    const model = await made(toyModel({ sizes: { dFf: 64 } }));
    const installed = await thresholdExecution({ density: 0.25, breakEven: ALWAYS }).install(model, context);
    const kept: number[] = [];
    const layers = installed.report()["layers"] as { path: string; threshold: number }[];
    for (const { down } of mlpBlocks(model)) {
      const { threshold = NaN } = layers.find(({ path }) => path === down.path) ?? {};
      expect(threshold).toBeGreaterThan(0);
      down.wrap((x, base) => {
        const values = ops.read(x);
        kept.push(values.filter((v) => Math.abs(v) > threshold).length / values.length);
        return base(x);
      });
    }
    const { batchTensors } = await import("@deft-js/core");
    ops.scope(() => model.forward(batchTensors(host)));
    expect(kept[0]).toBeCloseTo(0.25, 2); // the first layer sees what it saw when it was calibrated
  });

  test("top-k with every neuron is the dense model; with few it is another one", async () => {
    const model = await made(toyModel());
    const before = logits(model);
    const all = await topKExecution({ density: 1, breakEven: ALWAYS }).install(model, context);
    expect(difference(logits(model), before)).toBeLessThan(1e-5);
    all.uninstall();
    await topKExecution({ density: 0.125, breakEven: ALWAYS }).install(model, context);
    expect(difference(logits(model), before)).toBeGreaterThan(1e-3);
  });
});

test("the value does not depend on which way is taken", async () => {
  await start(BACKENDS.at(-1) as string);
  const outputs: Float32Array[] = [];
  for (const density of [0, 1]) {
    const model = await made(toyModel());
    await topKExecution({ density: 0.25, breakEven: [{ rows: 1, density }] }).install(model, context);
    outputs.push(logits(model));
  }
  expect(difference(outputs[0] as Float32Array, outputs[1] as Float32Array)).toBeLessThan(1e-5);
});

test.skipIf(BACKENDS.length < 2)("measured break-even points are used and reported, and sparse layers are skipped", async () => {
  await start("native");
  const config = { model_type: "bert", vocab_size: 16, hidden_size: 64, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 1024, hidden_act: "relu", max_position_embeddings: 8, type_vocab_size: 2, initializer_range: 0.02, layer_norm_eps: 1e-12, pad_token_id: 0 };
  const model = await made(bertFamily.build({ config, head: "none", rng: new ops.Rng(3) }));
  for (const variable of model.parameters().values()) variable.trainable = false;
  for (const site of model.sites("activation")) site.wrap((x, base) => ops.mul(base(x), ops.tensor(Float32Array.from({ length: 1024 }, (_, i) => Number(i % 50 === 0)), [1024])));
  const installed = await sparseExecution({ breakEven: [{ rows: 1, density: 0.5 }] }).install(model, context);
  const { batchTensors } = await import("@deft-js/core");
  ops.scope(() => model.forward(batchTensors(host)));
  const [layer] = installed.report()["layers"] as { calls: number; skipped: number; density: number }[];
  expect(layer).toMatchObject({ calls: 1, skipped: 1 });
  expect(layer?.density).toBeLessThan(0.02);
  installed.uninstall();
  const measured = await sparseExecution().install(model, context);
  const points = (measured.report()["breakEven"] as Record<string, { rows: number; density: number }[]>)["1024x64"];
  expect(points?.map(({ rows }) => rows)).toEqual([1, 8, 32, 128, 512]);
  expect(points?.every(({ density }) => density >= 0 && density <= 0.95)).toBe(true);
});

test("break-even points are interpolated over the number of tokens, and held beyond the ends", () => {
  const at = breakEvenOf([{ rows: 16, density: 0.2 }, { rows: 1, density: 0.4 }]);
  expect([0, 1, 4, 16, 900].map(at)).toEqual([0.4, 0.4, expect.closeTo(0.3, 10), 0.2, 0.2]);
  expect(breakEvenOf([{ rows: 8, density: 0.3 }])(100)).toBe(0.3);
});

test("what it lacks is named", async () => {
  await start("cpu");
  const model = await made(toyModel());
  await expect(Promise.resolve().then(() => sparseExecution({ layers: "nothing" }).install(model, context))).rejects.toMatchObject({ code: "execution.sites" });
  await expect(Promise.resolve().then(() => thresholdExecution().install(model, { rng: context.rng }))).rejects.toMatchObject({ code: "execution.calibration" });
  expect(() => thresholdExecution({ density: 0 })).toThrow(expect.objectContaining({ code: "options.invalid" }));
  expect(() => sparseExecution({ layers: "(" })).toThrow(expect.objectContaining({ code: "options.invalid" }));
});

test("the break-even point is the largest density at which skipping was seen to win", () => {
  expect(largestWinning((density) => 0.1 + 2 * density)).toBeCloseTo(0.435, 3); // 0.1 + 2d = 0.97
  expect(largestWinning(() => 1.01)).toBe(0);
  expect(largestWinning((density) => 0.4 * density)).toBe(0.95);
  const curved = (density: number): number => 0.2 + 8 * density ** 2; // 1 at 0.3162
  expect(curved(largestWinning(curved))).toBeLessThanOrEqual(1);
  expect(largestWinning(curved)).toBeGreaterThan(0.28);
  const jumping = (density: number): number => (density > 0.1 ? 1.2 : 0.3); // wins at 0.02, loses wherever the line points
  expect(largestWinning(jumping)).toBeLessThanOrEqual(0.1);
  expect(largestWinning(jumping)).toBeGreaterThanOrEqual(0.02);
});

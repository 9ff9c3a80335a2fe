import { batchTensors, evaluate, Kernel, METER, mlpBlocks, ops, type HostBatch, type Model, type Split } from "@deft-js/core";
import { bertFamily } from "@deft-js/plugin-model-bert";
import { toyModel } from "@deft-js/testkit";
import { useBackend } from "@deft-js/tensor";
import "@tensorflow/tfjs-backend-cpu";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { energyMeter, energyPlugin, energySchema, type EnergyMeter, type EnergyReport } from "../src/index.ts";

/** Ten positions, two of them padding. */
const host: HostBatch = { size: 2, seq: 5, inputIds: Int32Array.of(1, 4, 2, 7, 3, 5, 6, 2, 0, 0), attentionMask: Float32Array.of(1, 1, 1, 1, 1, 1, 1, 1, 0, 0), labels: Int32Array.of(2, 0) };
const HOROWITZ = { constants: "horowitz-2014" } as const;
const split = (...batches: HostBatch[]): Split => ({ name: "dev", size: batches.length * 2, batches: () => batches });

let models: Model[] = [];
const made = async (model: Promise<Model>): Promise<Model> => {
  models.push(await model);
  return model;
};
beforeAll(() => useBackend("cpu"));
afterEach(() => {
  for (const model of models) model.dispose();
  models = [];
});

/** Of the 8 neurons, the first is active at all ten positions, the second at one; 11 of 80 values are not 0. */
async function imposed(): Promise<Model> {
  const model = await made(toyModel());
  const values = Float32Array.from({ length: 80 }, (_, i) => (i % 8 === 0 ? -0.5 : i === 1 ? 1e-9 : -0));
  for (const site of model.sites("activation")) site.wrap(() => ops.tensor(values, [2, 5, 8]));
  return model;
}

async function measured(model: Model, batches: readonly HostBatch[] = [host], meter: EnergyMeter = energyMeter(HOROWITZ)): Promise<EnergyReport> {
  const { reports } = await evaluate({ model, split: split(...batches), meters: [meter] });
  return reports["energy"] as EnergyReport;
}

describe("reckoned by hand: ten positions, dModel 6, dFf 8, query and value", () => {
  test("a down-projection", async () => {
    const report = await measured(await imposed());
    const down = report.linears.find(({ path }) => path === "toy.encoder.layer.1.output.dense");
    // dense: 10·8·6 MACs, 8·6·4 + 10·(8 + 6)·4 bytes; skipping: 11·6 MACs, 2 of the 8 rows of weights
    expect(down).toEqual({
      path: "toy.encoder.layer.1.output.dense", stack: "encoder", layer: 1, role: "mlp-down", calls: 1, density: 11 / 80,
      macs: { dense: 480, zeroSkipping: 66, skipped: 414, ratio: 66 / 480 },
      bytes: { dense: 752, zeroSkipping: 608, skipped: 144, ratio: 608 / 752 },
      // 4.6 pJ a MAC, 640 pJ for 4 bytes
      picojoules: { dense: expect.closeTo(2208 + 120320, 6), zeroSkipping: expect.closeTo(303.6 + 97280, 6), skipped: expect.closeTo(24944.4, 6), ratio: expect.closeTo(97583.6 / 122528, 12) },
    });
  });

  test("the other linear layers are dense on both machines", async () => {
    const report = await measured(await imposed());
    const [query, , up] = report.linears;
    expect(query).toMatchObject({ role: null, density: null, macs: { dense: 360, zeroSkipping: 360 }, bytes: { dense: 144 + 480, zeroSkipping: 624, skipped: 0, ratio: 1 } });
    expect(up).toMatchObject({ role: "mlp-up", density: null, calls: 1, macs: { dense: 480, zeroSkipping: 480 }, bytes: { dense: 192 + 560, zeroSkipping: 752 } });
  });

  test("layers and total are sums, and the report is plain data that names its source", async () => {
    const report = await measured(await imposed());
    const layer = { macs: { dense: 1680, zeroSkipping: 1266 }, bytes: { dense: 2752, zeroSkipping: 2608 }, picojoules: { dense: expect.closeTo(448048, 6), zeroSkipping: expect.closeTo(423103.6, 6), ratio: expect.closeTo(423103.6 / 448048, 12) } };
    expect(report.layers).toMatchObject([{ stack: "encoder", layer: 0, ...layer }, { stack: "encoder", layer: 1, ...layer }]);
    expect(report.total.macs).toEqual({ dense: 3360, zeroSkipping: 2532, skipped: 828, ratio: 2532 / 3360 });
    expect(report.constants).toMatchObject({ source: expect.stringContaining("ISSCC 2014"), multiply: 3.7, add: 0.9, dram: 640 });
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });

  test("weights are read once a pass", async () => {
    const report = await measured(await imposed(), [host, host]);
    expect(report.forwards).toBe(2);
    expect(report.total.macs).toMatchObject({ dense: 6720, zeroSkipping: 5064 });
    expect(report.total.bytes).toMatchObject({ dense: 11008, zeroSkipping: 10432 });
  });

  test("a block that is skipped counts none, on neither machine", async () => {
    const model = await imposed();
    model.sites("mlp")[1]?.wrap((x) => ops.zeros(x.shape));
    const report = await measured(model);
    expect(report.linears.at(-1)).toMatchObject({ role: "mlp-down", calls: 0, density: null, macs: { dense: 0, zeroSkipping: 0, ratio: null } });
    expect(report.layers[1]?.macs).toEqual({ dense: 720, zeroSkipping: 720, skipped: 0, ratio: 1 });
  });

  test("a matrix that is held in fewer bytes moves fewer", async () => {
    const model = await imposed();
    const path = "toy.encoder.layer.0.output.dense";
    model.replaceWeight(path, { shape: [8, 6], format: "packed", bytes: 24, apply: () => ops.zeros([2, 5, 6]), dense: () => ops.zeros([8, 6]), dispose: () => undefined });
    const report = await measured(model);
    expect(report.linears.find((linear) => linear.path === path)?.bytes).toMatchObject({ dense: 24 + 560, zeroSkipping: 6 + 560 });
  });

  test("own constants", async () => {
    const constants = { source: "made up", multiply: 1, add: 1, dram: 0 };
    const report = await measured(await imposed(), [host], energyMeter({ constants }));
    expect(report.constants).toEqual(constants);
    expect(report.total.picojoules).toMatchObject({ dense: 6720, zeroSkipping: 5064 });
  });
});

const bert = { model_type: "bert", vocab_size: 16, hidden_size: 4, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 8, hidden_act: "gelu", max_position_embeddings: 8, type_vocab_size: 2, initializer_range: 0.5, layer_norm_eps: 1e-12, pad_token_id: 0 };
const tinyBert = (): Promise<Model> => made(bertFamily.build({ config: bert, head: "sequence-classification", labels: 3, rng: new ops.Rng(3) }));

test.each([["toy", (): Promise<Model> => made(toyModel())], ["bert", tinyBert]])("%s computes the same bits under the meter and after it, and no tensor is left", async (_, build) => {
  const model = await build();
  const logits = (): Float32Array => ops.scope(() => ops.read(model.forward(batchTensors(host)).logits));
  const before = logits();
  const meter = energyMeter(HOROWITZ);
  const tensors = ops.memory().tensors;
  const undo = meter.begin(model);
  expect(logits()).toEqual(before);
  expect(ops.memory().tensors).toBe(tensors);
  undo();
  const report = meter.report();
  expect(report.total.macs.dense).toBeGreaterThan(0);
  expect(logits()).toEqual(before);
  expect(meter.report()).toEqual(report);
});

test("every linear site of a BERT is counted; the pooler stands outside the layers", async () => {
  const report = await measured(await tinyBert());
  // 10 positions: query, key, value and output 4·4, up and down 4·8; gelu leaves no zeros; the pooler sees 2 rows
  const macs = new Map(report.layers.map(({ layer, macs: compared }) => [layer, compared]));
  expect(macs.size).toBe(2);
  expect(macs.get(null)).toMatchObject({ dense: 2 * 16, ratio: 1 });
  expect(macs.get(0)).toMatchObject({ dense: 10 * (4 * 16 + 2 * 32), ratio: 1 });
});

test("it stands at the matrix: what a method puts around the down-projection does not hide the zeros", async () => {
  const model = await imposed();
  for (const { down } of mlpBlocks(model)) down.wrap((x, base) => ops.add(base(ops.scale(x, 0)), base(x)));
  const [up, down] = (await measured(model)).linears.slice(-2);
  expect(up).toMatchObject({ role: "mlp-up", calls: 1, macs: { dense: 480 } });
  expect(down).toMatchObject({ calls: 2, density: 11 / 160, macs: { dense: 960, zeroSkipping: 66 } });
});

test("measuring anew forgets what was measured", async () => {
  const meter = energyMeter(HOROWITZ);
  const model = await imposed();
  const first = await measured(model, [host], meter);
  expect(await measured(model, [host], meter)).toEqual(first);
});

test("it is on only where it is asked for, with its constants", () => {
  const kernel = new Kernel();
  kernel.use(energyPlugin);
  expect(energySchema.safeParse({}).success).toBe(false);
  expect(kernel.create(METER, "energy", HOROWITZ).id).toBe("energy");
});

test("what it cannot measure is an error", async () => {
  const meter = energyMeter(HOROWITZ);
  expect(() => meter.add()).toThrow(expect.objectContaining({ code: "energy.begin" }));
  const model = await made(toyModel());
  expect(() => meter.begin({ ...model, sites: () => [] })).toThrow(expect.objectContaining({ code: "energy.sites" }));
  expect(() => energyMeter({} as never)).toThrow(expect.objectContaining({ code: "options.invalid" }));
  expect(() => energyMeter({ constants: { source: "x", multiply: -1, add: 0, dram: 0 } })).toThrow(expect.objectContaining({ code: "options.invalid" }));
});

import { join } from "node:path";
import { ops, transposeMatrix, type ForwardResult, type Model } from "@deft-js/core";
import { densityLoss } from "@deft-js/plugin-density-loss";
import { peftReader } from "@deft-js/plugin-peft-lora";
import { compareTensors, demandClose, maxAbs, peftParityChecks, readFixtureBatch, readFixtureJson, readFixtureTensors, type Tensors } from "@deft-js/testkit";
import { describe, expect, it } from "vitest";
import { folderOf, goldenBatch, goldenModel, greedy } from "./golden-model.ts";

const tensors = (name: string, file: string): Tensors => readFixtureTensors(join(folderOf(name), file));
const density = (epsilon: number) => densityLoss({ epsilon, padding: "include" });

/** Logits, loss, activations, hidden states and exact zeros against the reference's, at the tolerances of the fixtures. */
function checkForward(model: Model, name: string): void {
  const expected = tensors(name, "expected.safetensors");
  ops.scope(() => {
    const batch = goldenBatch(name);
    const result = model.forward(batch, { activations: true, hiddenStates: true });
    const compare = (key: string, value: ops.Tensor) => demandClose({ name: key, actual: ops.read(value), expected: expected.get(key)!.values, tolerance: 1e-5, relativeTo: "max" });
    compare("logits", result.logits);
    const loss = expected.get("loss")!.values[0]!;
    expect(Math.abs(ops.read(model.loss(result, batch))[0]! - loss)).toBeLessThanOrEqual(2e-6 * loss);
    expect(result.activations.map((a) => `mlp_act.dec.${a.layer}`)).toEqual([...expected.keys()].filter((n) => n.startsWith("mlp_act.")).sort());
    for (const { layer, value } of result.activations) compare(`mlp_act.dec.${layer}`, value);
    for (const [i, value] of result.hiddenStates.entries()) compare(`hidden_states.dec.${i}`, value);
    checkZeros(result, expected.get("density_count_nonzero.dec")!.values);
  });
}

function checkZeros({ activations }: ForwardResult, expected: Float32Array): void {
  for (const [l, { value }] of activations.entries()) {
    const [batch = 0] = value.shape;
    const values = ops.read(value);
    const per = values.length / batch;
    for (let b = 0; b < batch; b++) {
      const nonZero = values.subarray(b * per, (b + 1) * per).filter((v) => v !== 0).length;
      expect(Math.abs(nonZero - expected[b * activations.length + l]! * per), `layer ${l}, example ${b}`).toBeLessThan(0.01);
    }
  }
}

describe.each(["opt-causal", "opt-postln-proj"])("%s", (name) => {
  it("computes what the reference computes", async () => {
    const model = await goldenModel(name);
    checkForward(model, name);
    model.dispose();
  });

  it("computes the same when every site is wrapped, so that no fused path is taken", async () => {
    const model = await goldenModel(name);
    for (const kind of ["embedding", "linear", "attention", "residual", "activation", "mlp"] as const) for (const site of model.sites(kind)) site.wrap((x, base) => base(x) as never);
    checkForward(model, name);
    model.dispose();
  });

  it.each([1e-7, 1e-3, 1] as const)("has the reference's density at ε = %s", async (epsilon) => {
    const model = await goldenModel(name);
    const { density_loss } = readFixtureJson(join(folderOf(name), "expected.json")) as { density_loss: Record<string, { dec: number }> };
    const want = density_loss[{ [1e-7]: "1e-07", [1e-3]: "0.001", 1: "1" }[epsilon]!]!.dec;
    const got = ops.scope(() => {
      const batch = goldenBatch(name);
      return ops.read(density(epsilon).compute(model.forward(batch, { activations: true }), batch, { step: 0, totalSteps: 1, epoch: 0 }))[0]!;
    });
    expect(Math.abs(got - want)).toBeLessThanOrEqual(1e-5 * want + 1e-6);
    model.dispose();
  });

  it("has the reference's gradient for every parameter", async () => {
    const model = await goldenModel(name);
    const grads = tensors(name, "grads.safetensors");
    const variables = [...model.parameters().values()];
    for (const variable of variables) variable.trainable = true;
    expect(variables.map((v) => v.path).sort()).toEqual([...grads.keys()].sort());
    const most = Math.max(...[...grads.values()].map(({ values }) => maxAbs(values)));
    ops.scope(() => {
      const batch = goldenBatch(name);
      const term = density(1e-3);
      const { gradients } = ops.valueAndGradients(() => {
        const result = model.forward(batch, term.taps);
        return ops.add(model.loss(result, batch), term.compute(result, batch, { step: 0, totalSteps: 1, epoch: 0 }));
      }, variables);
      for (const { path, shape } of variables) {
        const got = ops.read(gradients.get(path)!);
        const held = shape.length === 2 && !path.includes("embed_");
        demandClose({ name: path, actual: held ? transposeMatrix(got, shape[0]!, shape[1]!) : got, expected: grads.get(path)!.values, tolerance: 1e-4, relativeTo: "max", reference: most });
      }
    });
    model.dispose();
  });

  it("generates the reference's ids from prompts padded on the left", async () => {
    const model = await goldenModel(name);
    const { generate_greedy } = readFixtureJson(join(folderOf(name), "expected.json")) as { generate_greedy: number[][] };
    const ids = ops.scope(() => greedy(model, goldenBatch(name), 8, { eos: 2, pad: 1 }));
    expect(ids).toEqual(generate_greedy);
    model.dispose();
  });
});

describe("opt-lora-peft", () => {
  const expected = tensors("opt-lora-peft", "expected.safetensors");
  const checks = peftParityChecks({
    load: async () => {
      const model = await goldenModel("opt-causal");
      const attachment = peftReader.read(readFixtureJson(join(folderOf("opt-lora-peft"), "adapter", "adapter_config.json")))!.attach(model, new ops.Rng(2));
      attachment.layouts!.peft!.read(tensors("opt-lora-peft", "adapter/adapter_model.safetensors"), "default");
      return { model, attachment };
    },
    batch: readFixtureBatch(folderOf("opt-causal")),
    expected,
    gradients: tensors("opt-lora-peft", "grads.safetensors"),
    write: (attachment) => attachment.layouts!.peft!.write("default").map((array) => ({ ...array, name: array.name.replace(/\.weight$/, ".default.weight") })),
    headName: (name) => name,
    density,
  });
  for (const { name, run } of checks) it(name, run);

  it("is told from the model without it", async () => {
    const model = await goldenModel("opt-causal");
    const plain = ops.scope(() => ops.read(model.forward(goldenBatch("opt-causal")).logits));
    expect(compareTensors({ name: "logits", actual: plain, expected: expected.get("logits")!.values, tolerance: 1e-5, relativeTo: "max" }).ok).toBe(false);
    model.dispose();
  });
});

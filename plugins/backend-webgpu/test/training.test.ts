import { join } from "node:path";
import { adamW, ops, TrainingStep, type Model, type NamedArray, type StepReport } from "@deft-js/core";
import { densityLoss } from "@deft-js/plugin-density-loss";
import { bertFamily } from "@deft-js/plugin-model-bert";
import { lora } from "@deft-js/plugin-peft-lora";
import { readFixtureBatch, readFixtureJson, readFixtureTensors } from "@deft-js/testkit";
import { describe, expect, test } from "vitest";
import { COMPILING, create, noAdapter } from "./adapter.ts";

const FOLDER = join(import.meta.dirname, "../../model-bert/test/fixtures/bert-seqcls");

function bert(): Promise<Model> {
  const tensors = readFixtureTensors(join(FOLDER, "model.safetensors"));
  const found = (name: string): NamedArray => tensors.get(name) as NamedArray;
  const source = { names: () => [...tensors.keys()], shape: (name: string) => found(name).shape, read: (name: string) => found(name).values };
  return bertFamily.build({ config: readFixtureJson(join(FOLDER, "config.json")), head: "sequence-classification", source, rng: new ops.Rng(1) });
}

/** Three steps with LoRA, dropout and the density loss on the active back-end. */
async function trained(): Promise<{ reports: StepReport[]; values: readonly NamedArray[]; tensors: number[] }> {
  const model = await bert();
  const attachment = lora({ rank: 4, alpha: 8, dropout: 0.1, target: /query|value/ }).attach(model, new ops.Rng(2));
  const step = new TrainingStep({
    model,
    variables: [...attachment.variables, ...model.headParameters()],
    losses: [densityLoss({ weight: 1, epsilon: 1e-3 })],
    optimizer: adamW({ learningRate: 1e-3, schedule: "constant" }),
    totalSteps: 3,
    clipNorm: 1,
    dropout: new ops.Rng(3),
  });
  const batch = readFixtureBatch(FOLDER);
  const reports: StepReport[] = [];
  for (let i = 0; i < 3; i++) reports.push(await step.step([batch]));
  const values = attachment.state();
  step.dispose();
  attachment.detach();
  model.dispose();
  return { reports, values, tensors: reports.map(({ tensors }) => tensors) };
}

describe.skipIf(noAdapter !== undefined)("training on webgpu", () => {
  test("three steps of a tiny BERT with LoRA, dropout and the density loss go as on cpu", async () => {
    await ops.useBackend("cpu");
    const expected = await trained();
    await create().start({ software: true });
    const actual = await trained();
    for (const [i, report] of actual.reports.entries()) {
      const other = expected.reports[i]!;
      expect(Math.abs(report.loss - other.loss)).toBeLessThan(1e-5);
      expect(Math.abs(report.terms["density"]! - other.terms["density"]!)).toBeLessThan(1e-5);
      expect(Math.abs(report.gradientNorm - other.gradientNorm)).toBeLessThan(1e-4 * other.gradientNorm);
    }
    expect(new Set(actual.tensors).size).toBe(1);
    for (const [i, { name, values }] of actual.values.entries()) {
      const apart = values.reduce((most, value, j) => Math.max(most, Math.abs(value - expected.values[i]!.values[j]!)), 0);
      expect(apart, name).toBeLessThan(2e-5);
    }
  }, COMPILING);
});

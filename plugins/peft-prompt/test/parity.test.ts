import { join } from "node:path";
import { densityLoss } from "@deft-js/plugin-density-loss";
import { attachFixture, peftParityChecks, readFixtureAdapter, readFixtureBatch, readFixtureTensors } from "@deft-js/testkit";
import { describe, it } from "vitest";
import { peftReader } from "../src/index.ts";
import { BERT, BERT_PROMPT, FIXTURES, goldenBert, goldenT5, T5 } from "./goldens.ts";

const MEMORY_NAME = "prompt_encoder.default.embedding.weight";
const common = {
  write: (attachment: ReturnType<typeof attachFixture>) => (attachment.layouts?.peft?.write("default") ?? []).map((array) => ({ ...array, name: MEMORY_NAME })),
  headName: (name: string) => `base_model.${name.replace("classifier.", "classifier.modules_to_save.default.")}`,
  density: (epsilon: number) => densityLoss({ epsilon, padding: "include" }),
};

describe("parity with PEFT 0.3.0 on BERT", () => {
  const adapter = readFixtureAdapter(join(FIXTURES, "bert-prompt-peft"), "adapter_model");
  const head = [...adapter.tensors.values()].filter(({ name }) => name.includes("classifier")).map((array) => ({ ...array, name: array.name.replace("base_model.", "") }));
  const checks = peftParityChecks({
    ...common,
    load: async () => {
      const model = await goldenBert(head);
      return { model, attachment: attachFixture(model, peftReader, adapter) };
    },
    batch: readFixtureBatch(BERT),
    expected: readFixtureTensors(join(BERT_PROMPT, "expected.safetensors")),
    gradients: readFixtureTensors(join(BERT_PROMPT, "grads.safetensors")),
  });
  for (const { name, run } of checks) it(name, run);
});

describe.each([
  { golden: "t5-prompt-peft", version: "0.3.0, which prompts encoder and decoder" },
  { golden: "t5-prompt-peft040", version: "0.4.0, which leaves half of its rows unused" },
])("parity with PEFT on T5: $version", ({ golden }) => {
  const folder = join(FIXTURES, golden);
  const checks = peftParityChecks({
    ...common,
    load: async () => {
      const model = await goldenT5();
      return { model, attachment: attachFixture(model, peftReader, readFixtureAdapter(folder, "adapter_model")) };
    },
    batch: readFixtureBatch(T5),
    expected: readFixtureTensors(join(folder, "expected.safetensors")),
    gradients: readFixtureTensors(join(folder, "grads.safetensors")),
    countSlack: 1,
  });
  for (const { name, run } of checks) it(name, run);
});

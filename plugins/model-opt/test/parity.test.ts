import { join } from "node:path";
import { generate, ops } from "@deft-js/core";
import { densityLoss } from "@deft-js/plugin-density-loss";
import { peftReader } from "@deft-js/plugin-peft-lora";
import { compareTensors, modelParityChecks, peftParityChecks, readFixtureBatch, readFixtureJson, readFixtureTensors, type Tensors } from "@deft-js/testkit";
import { describe, expect, it } from "vitest";
import { folderOf, goldenBatch, goldenModel, greedy } from "./golden-model.ts";

const tensors = (name: string, file: string): Tensors => readFixtureTensors(join(folderOf(name), file));
const density = (epsilon: number) => densityLoss({ epsilon, padding: "include" });

describe.each(["opt-causal", "opt-postln-proj"])("%s", (name) => {
  const subject = { load: () => goldenModel(name), batch: readFixtureBatch(folderOf(name)), expected: tensors(name, "expected.safetensors"), gradients: tensors(name, "grads.safetensors"), density };
  for (const { name: title, run } of modelParityChecks(subject)) it(title, run);

  it("generates the reference's ids from prompts padded on the left", async () => {
    const model = await goldenModel(name);
    const { generate_greedy } = readFixtureJson(join(folderOf(name), "expected.json")) as { generate_greedy: number[][] };
    const prompts = readFixtureBatch(folderOf(name));
    const ids = ops.scope(() => greedy(model, goldenBatch(name), 8, { eos: 2, pad: 1 }));
    const { ids: generated } = await generate(model, prompts, { maxNewTokens: 8 });
    expect(generated.map((row, r) => [...prompts.inputIds.subarray(r * prompts.seq, (r + 1) * prompts.seq), ...row, ...Array<number>(8 - row.length).fill(1)])).toEqual(generate_greedy);
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

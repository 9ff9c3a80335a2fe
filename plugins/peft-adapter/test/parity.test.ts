import { join } from "node:path";
import { ops } from "@deft-js/core";
import { densityLoss } from "@deft-js/plugin-density-loss";
import { bertFamily } from "@deft-js/plugin-model-bert";
import { peftParityChecks, readFixtureBatch, readFixtureJson, readFixtureTensors } from "@deft-js/testkit";
import { describe, it } from "vitest";
import { adapterHubReader } from "../src/index.ts";

const FIXTURES = join(import.meta.dirname, "fixtures");

/** The fixtures' common base with a folder's head and adapter. */
async function load(folder: string, head: "tanh-classification" | "sequence-classification") {
  const tensors = new Map([...readFixtureTensors(join(FIXTURES, "bert-base", "model.safetensors")), ...readFixtureTensors(join(folder, "adapter", "pytorch_model_head.safetensors"))]);
  const source = { names: () => [...tensors.keys()], shape: (name: string) => tensors.get(name)!.shape, read: (name: string) => tensors.get(name)!.values };
  const model = await bertFamily.build({ config: readFixtureJson(join(folder, "config.json")), head, headName: "mytask", source, rng: new ops.Rng(1) });
  const method = adapterHubReader.read(readFixtureJson(join(folder, "adapter", "adapter_config.json")))!;
  const attachment = method.attach(model, new ops.Rng(2));
  attachment.layouts!.adapterhub!.read(readFixtureTensors(join(folder, "adapter", "pytorch_adapter.safetensors")), "mytask");
  return { model, attachment };
}

const GOLDENS = { "bert-pfeiffer-at": "tanh-classification", "bert-houlsby-at": "tanh-classification", "bert-pfeiffer-at-statichead": "sequence-classification" } as const;

for (const [golden, head] of Object.entries(GOLDENS))
  describe(`parity with adapter-transformers 3.2.1: ${golden}`, () => {
    const folder = join(FIXTURES, golden);
    const checks = peftParityChecks({
      load: () => load(folder, head),
      batch: readFixtureBatch(folder),
      expected: readFixtureTensors(join(folder, "expected.safetensors")),
      gradients: readFixtureTensors(join(folder, "grads.safetensors")),
      write: (attachment) => attachment.layouts?.adapterhub?.write("mytask") ?? [],
      headName: (name) => name,
      density: (epsilon) => densityLoss({ epsilon, padding: "include" }),
    });
    for (const { name, run } of checks) it(name, run);
  });

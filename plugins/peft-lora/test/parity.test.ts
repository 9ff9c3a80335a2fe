import { join } from "node:path";
import { ops, type AdapterConfigReader, type Model, type NamedArray } from "@deft-js/core";
import { densityLoss } from "@deft-js/plugin-density-loss";
import { bertFamily } from "@deft-js/plugin-model-bert";
import { peftParityChecks, readFixtureBatch, readFixtureJson, readFixtureTensors, type Tensors } from "@deft-js/testkit";
import { describe, it } from "vitest";
import { adapterHubReader, peftReader } from "../src/index.ts";

const FIXTURES = join(import.meta.dirname, "fixtures");
const PREFIX = "base_model.model.";

/** The fixtures' common base with a head's tensors. */
function bert(folder: string, head: "tanh-classification" | "sequence-classification", more: Iterable<NamedArray>): Promise<Model> {
  const tensors = new Map([...readFixtureTensors(join(FIXTURES, "bert-base", "model.safetensors")), ...[...more].map((array) => [array.name, array] as const)]);
  const found = (name: string): NamedArray => tensors.get(name) as NamedArray;
  const source = { names: () => [...tensors.keys()], shape: (name: string) => found(name).shape, read: (name: string) => found(name).values };
  return bertFamily.build({ config: readFixtureJson(join(folder, "config.json")), head, headName: "mytask", source, rng: new ops.Rng(1) });
}

async function attached(model: Model, folder: string, reader: AdapterConfigReader, tensors: Tensors) {
  const method = reader.read(readFixtureJson(join(folder, "adapter", "adapter_config.json")));
  if (method === undefined) throw new Error("the reader does not know its own configuration");
  const attachment = method.attach(model, new ops.Rng(2));
  attachment.layouts?.[reader.layout]?.read(tensors, "mytask");
  return { model, attachment };
}

describe("parity with adapter-transformers 3.2.1", () => {
  const folder = join(FIXTURES, "bert-lora-at");
  const checks = peftParityChecks({
    load: async () => {
      const model = await bert(folder, "tanh-classification", readFixtureTensors(join(folder, "adapter", "pytorch_model_head.safetensors")).values());
      return attached(model, folder, adapterHubReader, readFixtureTensors(join(folder, "adapter", "pytorch_adapter.safetensors")));
    },
    batch: readFixtureBatch(folder),
    expected: readFixtureTensors(join(folder, "expected.safetensors")),
    gradients: readFixtureTensors(join(folder, "grads.safetensors")),
    write: (attachment) => attachment.layouts?.adapterhub?.write("mytask") ?? [],
    headName: (name) => name,
    density: (epsilon) => densityLoss({ epsilon, padding: "include" }),
    countSlack: 2,
  });
  for (const { name, run } of checks) it(name, run);
});

describe("parity with PEFT 0.3.0", () => {
  const folder = join(FIXTURES, "bert-lora-peft");
  const checks = peftParityChecks({
    load: async () => {
      const tensors = readFixtureTensors(join(folder, "adapter", "adapter_model.safetensors"));
      const head = [...tensors.values()].filter(({ name }) => name.includes("classifier")).map((array) => ({ ...array, name: array.name.slice(PREFIX.length) }));
      return attached(await bert(folder, "sequence-classification", head), folder, peftReader, tensors);
    },
    batch: readFixtureBatch(folder),
    expected: readFixtureTensors(join(folder, "expected.safetensors")),
    gradients: readFixtureTensors(join(folder, "grads.safetensors")),
    write: (attachment) => (attachment.layouts?.peft?.write("default") ?? []).map((array) => ({ ...array, name: array.name.replace(/\.weight$/, ".default.weight") })),
    headName: (name) => `${PREFIX}${name.replace("classifier.", "classifier.modules_to_save.default.")}`,
    density: (epsilon) => densityLoss({ epsilon, padding: "include" }),
    countSlack: 2,
  });
  for (const { name, run } of checks) it(name, run);
});

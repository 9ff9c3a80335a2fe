import { join } from "node:path";
import type { AdapterConfigReader, Attachment, NamedArray } from "@deft-js/core";
import { densityLoss } from "@deft-js/plugin-density-loss";
import { attachFixture, peftParityChecks, readFixtureAdapter, readFixtureBatch, readFixtureTensors } from "@deft-js/testkit";
import { describe, it } from "vitest";
import { adapterHubReader, peftReader } from "../src/index.ts";
import { BERT, FIXTURES, goldenBert, goldenT5, T5 } from "./goldens.ts";

const renamed = (tensors: Iterable<NamedArray>, change: (name: string) => string): NamedArray[] => [...tensors].map((array) => ({ ...array, name: change(array.name) }));

/** A peer, how its files are read, and how its parameters are called in memory. */
interface Peer {
  readonly golden: string;
  readonly reader: AdapterConfigReader;
  readonly file: "adapter_model" | "pytorch_adapter";
  headName(name: string): string;
  memoryName(name: string): string;
}

const PEFT = { reader: peftReader, file: "adapter_model", headName: (name: string) => `base_model.${name.replace("classifier.", "classifier.modules_to_save.default.")}`, memoryName: () => "prompt_encoder.default.embedding.weight" } as const;
const HUB = { reader: adapterHubReader, file: "pytorch_adapter", headName: (name: string) => name, memoryName: (name: string) => name } as const;

async function modelOf(golden: string, adapter: ReturnType<typeof readFixtureAdapter>) {
  if (golden.startsWith("t5")) return goldenT5();
  if (golden.endsWith("-at")) return goldenBert("tanh-classification", readFixtureTensors(join(FIXTURES, golden, "adapter/pytorch_model_head.safetensors")).values());
  const head = [...adapter.tensors.values()].filter(({ name }) => name.includes("classifier"));
  return goldenBert("sequence-classification", renamed(head, (name) => name.replace("base_model.", "")));
}

const PEERS: readonly Peer[] = [
  { golden: "bert-prefix-peft", ...PEFT },
  { golden: "bert-prefix-at", ...HUB },
  { golden: "t5-prefix-peft", ...PEFT },
  { golden: "t5-prefixflat-at", ...HUB },
];

describe.each(PEERS)("parity: $golden", ({ golden, reader, file, headName, memoryName }) => {
  const folder = join(FIXTURES, golden);
  const gradients = readFixtureTensors(join(folder, "grads.safetensors"));
  const known = new Set([...gradients.keys()].map((name) => name.slice(name.indexOf("/") + 1)));
  const write = (attachment: Attachment): NamedArray[] => renamed(attachment.layouts?.[reader.layout]?.write("mytask") ?? [], memoryName).filter(({ name }) => known.has(name));
  const checks = peftParityChecks({
    load: async () => {
      const adapter = readFixtureAdapter(folder, file);
      const model = await modelOf(golden, adapter);
      return { model, attachment: attachFixture(model, reader, adapter) };
    },
    batch: readFixtureBatch(golden.startsWith("t5") ? T5 : BERT),
    expected: readFixtureTensors(join(folder, "expected.safetensors")),
    gradients,
    write,
    headName,
    density: (epsilon) => densityLoss({ epsilon, padding: "include" }),
    countSlack: golden.startsWith("t5") ? 1 : 0,
  });
  for (const { name, run } of checks) it(name, run);
});

import { join } from "node:path";
import { ops, type Model, type NamedArray } from "@deft-js/core";
import { bertFamily } from "@deft-js/plugin-model-bert";
import { t5Family } from "@deft-js/plugin-model-t5";
import { fixtureSource, readFixtureJson, readFixtureTensors } from "@deft-js/testkit";

const PLUGINS = join(import.meta.dirname, "../..");

export const FIXTURES = join(import.meta.dirname, "fixtures");
/** Folders that hold the config.json and inputs.json of all fixtures of the family. */
export const BERT = join(PLUGINS, "peft-lora/test/fixtures/bert-lora-peft");
export const T5 = join(PLUGINS, "model-t5/test/fixtures/t5-relu");
/** What the model's own test holds of bert-prompt-peft. */
export const BERT_PROMPT = join(PLUGINS, "model-bert/test/fixtures/bert-prompt-peft");

/** The fixtures' BERT with a classifier. */
export function goldenBert(head: Iterable<NamedArray>): Promise<Model> {
  const base = readFixtureTensors(join(PLUGINS, "peft-lora/test/fixtures/bert-base/model.safetensors"));
  return bertFamily.build({ config: readFixtureJson(join(BERT, "config.json")), head: "sequence-classification", source: fixtureSource([...base.values(), ...head]), rng: new ops.Rng(1) });
}

/** The fixtures' T5. */
export function goldenT5(): Promise<Model> {
  const base = readFixtureTensors(join(T5, "model.safetensors"));
  return t5Family.build({ config: readFixtureJson(join(T5, "config.json")), head: "language-model", source: fixtureSource(base.values()), rng: new ops.Rng(1) });
}

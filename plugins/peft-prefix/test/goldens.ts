import { join } from "node:path";
import { ops, type HeadKind, type Model, type NamedArray } from "@deft-js/core";
import { bertFamily } from "@deft-js/plugin-model-bert";
import { t5Family } from "@deft-js/plugin-model-t5";
import { fixtureSource, readFixtureJson, readFixtureTensors } from "@deft-js/testkit";

const PLUGINS = join(import.meta.dirname, "../..");

export const FIXTURES = join(import.meta.dirname, "fixtures");
/** Folders that hold the config.json and inputs.json of all fixtures of the family. */
export const BERT = join(PLUGINS, "peft-lora/test/fixtures/bert-lora-peft");
export const T5 = join(PLUGINS, "model-t5/test/fixtures/t5-relu");

/** The fixtures' BERT, with a head where one is given. */
export function goldenBert(head: HeadKind, tensors: Iterable<NamedArray> = []): Promise<Model> {
  const base = readFixtureTensors(join(PLUGINS, "peft-lora/test/fixtures/bert-base/model.safetensors"));
  return bertFamily.build({ config: readFixtureJson(join(BERT, "config.json")), head, headName: "mytask", source: fixtureSource([...base.values(), ...tensors]), rng: new ops.Rng(1) });
}

/** The fixtures' T5. */
export function goldenT5(): Promise<Model> {
  const base = readFixtureTensors(join(T5, "model.safetensors"));
  return t5Family.build({ config: readFixtureJson(join(T5, "config.json")), head: "language-model", source: fixtureSource(base.values()), rng: new ops.Rng(1) });
}

/** T5 with heads·dKv ≠ dModel, 3 layers of encoder and 2 of decoder, and a table of relative biases that is far from 0. */
export function oddT5(): Promise<Model> {
  return t5Family.build({
    config: { model_type: "t5", vocab_size: 12, d_model: 8, d_kv: 3, num_heads: 2, d_ff: 12, num_layers: 3, num_decoder_layers: 2, feed_forward_proj: "gated-gelu", tie_word_embeddings: false, initializer_factor: 2 },
    head: "language-model",
    rng: new ops.Rng(3),
  });
}

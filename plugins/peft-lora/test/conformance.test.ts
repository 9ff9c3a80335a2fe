import { Kernel, ops, PEFT_METHOD, type HostBatch, type Model } from "@deft-js/core";
import { bertFamily } from "@deft-js/plugin-model-bert";
import { peftMethodChecks, toyModel } from "@deft-js/testkit";
import { describe, it } from "vitest";
import plugin, { adapterHubReader, lora, peftReader } from "../src/index.ts";

const batch: HostBatch = {
  size: 2, seq: 5,
  inputIds: Int32Array.of(1, 4, 2, 7, 3, 5, 6, 2, 0, 0),
  attentionMask: Float32Array.of(1, 1, 1, 1, 1, 1, 1, 1, 0, 0),
  labels: Int32Array.of(2, 0),
};

/** Dropout is on, and the weights are large enough for every layer to matter. */
const CONFIG = { model_type: "bert", vocab_size: 12, hidden_size: 8, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 12, max_position_embeddings: 9, initializer_range: 0.5, layer_norm_eps: 1e-5 };
const bert = (): Promise<Model> => bertFamily.build({ config: CONFIG, head: "sequence-classification", labels: 3, rng: new ops.Rng(3) });

const [contribution] = new Kernel().use(plugin).contributions(PEFT_METHOD);
const common = { contribution, batch, identityAtStart: true, merges: true, layouts: ["peft", "adapterhub"], readers: [peftReader, adapterHubReader] } as const;

describe("LoRA on the toy model", () => {
  for (const { name, run } of peftMethodChecks({ ...common, model: toyModel, method: () => lora({ rank: 2, alpha: 3, dropout: 0.2 }) })) it(name, run);
});

describe("LoRA on BERT", () => {
  for (const { name, run } of peftMethodChecks({ ...common, model: bert, method: () => lora({ rank: 2, alpha: 4, dropout: 0.1 }) })) it(name, run);
});

describe("LoRA on every linear layer of BERT's encoder", () => {
  const method = (): ReturnType<typeof lora> => lora({ rank: 1, alpha: 1, target: /attention\.(self\.(query|key|value)|output\.dense)$|(intermediate|output)\.dense$/, init: "gaussian" });
  for (const { name, run } of peftMethodChecks({ ...common, layouts: ["peft"], readers: [peftReader], model: bert, method })) it(name, run);
});

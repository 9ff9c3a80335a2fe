import { Kernel, ops, PEFT_METHOD, type HostBatch, type Model } from "@deft-js/core";
import { bertFamily } from "@deft-js/plugin-model-bert";
import { peftMethodChecks, toyModel } from "@deft-js/testkit";
import { describe, it } from "vitest";
import plugin, { ia3, peftReader } from "../src/index.ts";

const batch: HostBatch = {
  size: 2, seq: 5,
  inputIds: Int32Array.of(1, 4, 2, 7, 3, 5, 6, 2, 0, 0),
  attentionMask: Float32Array.of(1, 1, 1, 1, 1, 1, 1, 1, 0, 0),
  labels: Int32Array.of(2, 0),
};

const CONFIG = { model_type: "bert", vocab_size: 12, hidden_size: 8, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 12, max_position_embeddings: 9, initializer_range: 0.5, layer_norm_eps: 1e-5 };
const bert = (): Promise<Model> => bertFamily.build({ config: CONFIG, head: "sequence-classification", labels: 3, rng: new ops.Rng(3) });

const [contribution] = new Kernel().use(plugin).contributions(PEFT_METHOD);
const common = { contribution, batch, identityAtStart: true, randomStart: false, merges: true, layouts: ["peft"], readers: [peftReader] } as const;

describe("IA3 on the toy model", () => {
  for (const { name, run } of peftMethodChecks({ ...common, model: toyModel, method: () => ia3() })) it(name, run);
});

describe("IA3 on BERT", () => {
  for (const { name, run } of peftMethodChecks({ ...common, model: bert, method: () => ia3() })) it(name, run);
});

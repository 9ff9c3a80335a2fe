import { Kernel, ops, PEFT_METHOD, type HostBatch } from "@deft-js/core";
import { bertFamily } from "@deft-js/plugin-model-bert";
import { optFamily } from "@deft-js/plugin-model-opt";
import { t5Family } from "@deft-js/plugin-model-t5";
import { peftMethodChecks, toyModel, type PeftMethodSubject } from "@deft-js/testkit";
import { describe, it } from "vitest";
import plugin, { peftReader, prompt, type PromptSettings } from "../src/index.ts";

const batch: HostBatch = {
  size: 2, seq: 5,
  inputIds: Int32Array.of(1, 4, 2, 7, 3, 5, 6, 2, 0, 0),
  attentionMask: Float32Array.of(1, 1, 1, 1, 1, 1, 1, 1, 0, 0),
  labels: Int32Array.of(2, 0),
};
const texts: HostBatch = { ...batch, labels: Int32Array.of(4, 1, 0, 3, 1, -100), labelSeq: 3 };

/** Dropout is on, and the weights are large enough for every layer to matter. */
const bert = (model_type: string) => () =>
  bertFamily.build({ config: { model_type, vocab_size: 12, hidden_size: 8, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 12, max_position_embeddings: 12, initializer_range: 0.5, layer_norm_eps: 1e-5 }, head: "sequence-classification", labels: 3, rng: new ops.Rng(3) });
const t5 = () => t5Family.build({ config: { model_type: "t5", vocab_size: 12, d_model: 8, d_kv: 3, num_heads: 2, d_ff: 12, num_layers: 2, num_decoder_layers: 1, feed_forward_proj: "gated-gelu", tie_word_embeddings: false }, head: "language-model", rng: new ops.Rng(3) });
/** With project_in, padded on the left. */
const opt = () => optFamily.build({ config: { model_type: "opt", vocab_size: 12, hidden_size: 8, word_embed_proj_dim: 4, num_hidden_layers: 2, num_attention_heads: 2, ffn_dim: 12, max_position_embeddings: 16, do_layer_norm_before: false, init_std: 0.5 }, head: "language-model", rng: new ops.Rng(3) });
const leftPadded: HostBatch = { ...batch, inputIds: Int32Array.of(2, 4, 2, 7, 3, 1, 1, 2, 5, 6), attentionMask: Float32Array.of(1, 1, 1, 1, 1, 0, 0, 1, 1, 1), labels: Int32Array.of(2, 4, 2, 7, 3, -100, -100, 2, 5, 6), labelSeq: 5 };

const MODELS: readonly (Pick<PeftMethodSubject, "model" | "batch"> & { readonly family: string })[] = [
  { family: "the toy model", model: toyModel, batch },
  { family: "BERT", model: bert("bert"), batch },
  { family: "RoBERTa", model: bert("roberta"), batch: { ...batch, inputIds: batch.inputIds.map((id) => (id === 0 ? 1 : id)) } },
  { family: "T5", model: t5, batch: texts },
  { family: "OPT", model: opt, batch: leftPadded },
];
const SETTINGS: readonly PromptSettings[] = [{ virtualTokens: 3 }, { virtualTokens: 2, init: "random", compat: "peft" }, { virtualTokens: 2, compat: "peft-0.3" }];

const [contribution] = new Kernel().use(plugin).contributions(PEFT_METHOD);

describe.each(MODELS)("prompt tuning on $family", ({ family: _, ...subject }) => {
  describe.each(SETTINGS)("%j", (settings) => {
    for (const { name, run } of peftMethodChecks({ ...subject, contribution, method: () => prompt(settings), identityAtStart: false, merges: false, layouts: ["peft"], readers: [peftReader] })) it(name, run);
  });
});

import { Kernel, ops, PEFT_METHOD, type HostBatch } from "@deft-js/core";
import { bertFamily } from "@deft-js/plugin-model-bert";
import { optFamily } from "@deft-js/plugin-model-opt";
import { peftMethodChecks, toyModel, type PeftMethodSubject } from "@deft-js/testkit";
import { describe, it } from "vitest";
import plugin, { adapterHubReader, peftReader, prefix, type PrefixSettings } from "../src/index.ts";
import { oddT5 } from "./goldens.ts";

const batch: HostBatch = {
  size: 2, seq: 5,
  inputIds: Int32Array.of(1, 4, 2, 7, 3, 5, 6, 2, 0, 0),
  attentionMask: Float32Array.of(1, 1, 1, 1, 1, 1, 1, 1, 0, 0),
  labels: Int32Array.of(2, 0),
};

/** Dropout is on, and the weights are large enough for every layer to matter. */
const bert = (model_type: string) => () =>
  bertFamily.build({ config: { model_type, vocab_size: 12, hidden_size: 8, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 12, max_position_embeddings: 12, initializer_range: 0.5, layer_norm_eps: 1e-5 }, head: "sequence-classification", labels: 3, rng: new ops.Rng(3) });

type Subject = Pick<PeftMethodSubject, "model" | "batch" | "layouts" | "readers">;
const ENCODERS: readonly (Subject & { readonly family: string })[] = [
  { family: "the toy model", model: toyModel, batch },
  { family: "BERT", model: bert("bert"), batch },
  { family: "RoBERTa", model: bert("roberta"), batch: { ...batch, inputIds: batch.inputIds.map((id) => (id === 0 ? 1 : id)) } },
];
const HUB = { layouts: ["adapterhub"], readers: [adapterHubReader] } as const;
const PEFT = { layouts: ["peft"], readers: [peftReader] } as const;

const [contribution] = new Kernel().use(plugin).contributions(PEFT_METHOD);

function suite(settings: PrefixSettings, subject: Subject): void {
  describe(JSON.stringify(settings), () => {
    for (const { name, run } of peftMethodChecks({ ...subject, contribution, method: () => prefix(settings), identityAtStart: false, merges: false })) it(name, run);
  });
}

describe.each(ENCODERS)("prefix tuning on $family", ({ family: _, ...subject }) => {
  suite({ virtualTokens: 3, dropout: 0.2 }, { ...subject, ...HUB });
  suite({ virtualTokens: 2, projectionSize: 3, compat: "adapter-transformers" }, { ...subject, ...HUB });
  suite({ virtualTokens: 2, compat: "peft" }, { ...subject, ...PEFT });
  suite({ virtualTokens: 2, projectionSize: 3, compat: "peft" }, { ...subject, ...PEFT });
});

describe("prefix tuning on T5 with keys of another width than the hidden states", () => {
  const subject = { model: oddT5, batch: { ...batch, labels: Int32Array.of(4, 1, 0, 3, 1, -100), labelSeq: 3 } };
  suite({ virtualTokens: 3, dropout: 0.2 }, subject);
  suite({ virtualTokens: 2, projectionSize: 3 }, subject);
  suite({ virtualTokens: 2, encoder: false, cross: false }, subject);
});

describe("prefix tuning on OPT, padded on the left", () => {
  const model = () => optFamily.build({ config: { model_type: "opt", vocab_size: 12, hidden_size: 8, word_embed_proj_dim: 8, num_hidden_layers: 2, num_attention_heads: 2, ffn_dim: 12, max_position_embeddings: 16, do_layer_norm_before: true, init_std: 0.5 }, head: "language-model", rng: new ops.Rng(3) });
  const subject = { model, batch: { ...batch, inputIds: Int32Array.of(2, 4, 2, 7, 3, 1, 1, 2, 5, 6), attentionMask: Float32Array.of(1, 1, 1, 1, 1, 0, 0, 1, 1, 1), labels: Int32Array.of(2, 4, 2, 7, 3, -100, -100, 2, 5, 6), labelSeq: 5 } };
  suite({ virtualTokens: 3 }, subject);
  suite({ virtualTokens: 2, compat: "peft" }, { ...subject, ...PEFT });
});

import { join } from "node:path";
import { ADAPTER_READER, MODEL_FAMILY, ops, PEFT_METHOD, type AdapterConfigReader, type HeadKind, type HostBatch, type Kernel, type Model, type ModelConfig } from "@deft-js/core";
import { createKernel } from "@deft-js/run";
import { peftMethodChecks } from "@deft-js/testkit";
import { beforeAll, describe, expect, it } from "vitest";

/** One architecture with weights that are large enough for every layer to matter. */
interface Architecture {
  readonly config: ModelConfig;
  readonly head: HeadKind;
  readonly batch: HostBatch;
}

const encoder = { vocab_size: 12, hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 12, max_position_embeddings: 24, initializer_range: 0.5, layer_norm_eps: 1e-5, hidden_dropout_prob: 0.1, attention_probs_dropout_prob: 0.1 };
const t5 = { model_type: "t5", vocab_size: 12, d_model: 8, d_kv: 4, d_ff: 12, num_layers: 1, num_decoder_layers: 1, num_heads: 2, relative_attention_num_buckets: 8, relative_attention_max_distance: 16, pad_token_id: 0, eos_token_id: 1, decoder_start_token_id: 0, initializer_factor: 1, dropout_rate: 0.1 };
const opt = { model_type: "opt", vocab_size: 12, hidden_size: 8, word_embed_proj_dim: 8, num_hidden_layers: 1, num_attention_heads: 2, ffn_dim: 12, max_position_embeddings: 24, do_layer_norm_before: true, activation_function: "relu", init_std: 0.5, dropout: 0.1, pad_token_id: 1 };

const inputIds = Int32Array.of(2, 4, 3, 7, 3, 5, 6, 2, 9, 1);
const attentionMask = Float32Array.of(1, 1, 1, 1, 1, 1, 1, 1, 1, 0);
const classes: HostBatch = { size: 2, seq: 5, inputIds, attentionMask, labels: Int32Array.of(2, 0) };
const texts: HostBatch = { size: 2, seq: 5, inputIds, attentionMask, labels: Int32Array.of(4, 3, 5, 6, 2, -100), labelSeq: 3 };
const continued: HostBatch = { size: 2, seq: 5, inputIds, attentionMask, labels: Int32Array.of(2, 4, 3, 7, 3, 5, 6, 2, 9, -100), labelSeq: 5 };

const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  BERT: { config: { ...encoder, model_type: "bert" }, head: "sequence-classification", batch: classes },
  RoBERTa: { config: { ...encoder, model_type: "roberta", pad_token_id: 1, type_vocab_size: 1 }, head: "sequence-classification", batch: classes },
  T5: { config: { ...t5, feed_forward_proj: "relu", tie_word_embeddings: true }, head: "language-model", batch: texts },
  "Flan-T5": { config: { ...t5, feed_forward_proj: "gated-gelu", tie_word_embeddings: false }, head: "language-model", batch: texts },
  OPT: { config: opt, head: "language-model", batch: continued },
};

/** One method: its options, what it promises, and where it is not defined. */
interface Row {
  readonly id: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly identityAtStart: boolean;
  readonly randomStart?: boolean;
  readonly merges: boolean;
  readonly layouts: readonly ("peft" | "adapterhub")[];
  /** Architectures whose adapters AdapterHub's layout holds, too. */
  readonly adapterhubOn?: readonly string[];
  /** Architectures where attaching is an error, with its code. */
  readonly undefinedOn?: Readonly<Record<string, string>>;
}

const METHODS: Readonly<Record<string, Row>> = {
  LoRA: { id: "lora", options: { rank: 2, alpha: 3, dropout: 0.1 }, identityAtStart: true, merges: true, layouts: ["peft"], adapterhubOn: ["BERT", "RoBERTa", "T5", "Flan-T5"] },
  DoRA: { id: "dora", options: { rank: 2, alpha: 3, dropout: 0.1 }, identityAtStart: true, merges: true, layouts: ["peft"] },
  IA3: { id: "ia3", options: {}, identityAtStart: true, randomStart: false, merges: true, layouts: ["peft"] },
  BitFit: { id: "bitfit", options: {}, identityAtStart: true, randomStart: false, merges: true, layouts: [], undefinedOn: { T5: "bitfit.target", "Flan-T5": "bitfit.target" } },
  "Pfeiffer adapters": { id: "adapter", options: { placement: "pfeiffer", reductionFactor: 2, nonLinearity: "gelu" }, identityAtStart: false, merges: false, layouts: ["adapterhub"] },
  "Houlsby adapters": { id: "adapter", options: { placement: "houlsby", reductionFactor: 2 }, identityAtStart: false, merges: false, layouts: ["adapterhub"] },
  "Prompt tuning": { id: "prompt", options: { virtualTokens: 2 }, identityAtStart: false, merges: false, layouts: ["peft"] },
  "Prefix tuning": { id: "prefix", options: { virtualTokens: 2 }, identityAtStart: false, merges: false, layouts: [], adapterhubOn: ["BERT", "RoBERTa"] },
};

let kernel: Kernel;
beforeAll(async () => {
  kernel = await createKernel({ from: join(import.meta.dirname, "../..") });
});

function build({ config, head }: Architecture): Promise<Model> {
  const family = kernel.contributions(MODEL_FAMILY).map(({ id }) => kernel.create(MODEL_FAMILY, id)).find(({ modelTypes }) => modelTypes.includes(String(config["model_type"])));
  return family!.build({ config, head, labels: head === "sequence-classification" ? 3 : undefined, rng: new ops.Rng(3) });
}

/** Readers are made when the kernel is there; the first that knows the configuration reads it. */
function reader(layout: "peft" | "adapterhub"): AdapterConfigReader {
  return {
    layout,
    read: (config) => {
      for (const { id } of kernel.contributions(ADAPTER_READER)) {
        const one = kernel.create(ADAPTER_READER, id);
        const method = one.layout === layout ? one.read(config) : undefined;
        if (method !== undefined) return method;
      }
      return undefined;
    },
  };
}

for (const [architecture, of] of Object.entries(ARCHITECTURES))
  for (const [method, row] of Object.entries(METHODS))
    describe(`${method} on ${architecture}`, () => {
      const refusal = row.undefinedOn?.[architecture];
      const make = () => kernel.create(PEFT_METHOD, row.id, row.options);
      if (refusal !== undefined) {
        it("is refused, since it is not defined there", async () => {
          const model = await build(of);
          expect(() => make().attach(model, new ops.Rng(1))).toThrow(expect.objectContaining({ code: refusal }));
          model.dispose();
        });
        return;
      }
      const layouts = [...row.layouts, ...(row.adapterhubOn?.includes(architecture) === true ? (["adapterhub"] as const) : [])];
      const subject = { ...row, layouts, batch: of.batch, method: make, model: () => build(of), readers: layouts.map(reader) };
      for (const { name, run } of peftMethodChecks(subject)) it(name, run);
    });

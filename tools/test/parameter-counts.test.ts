import { existsSync } from "node:fs";
import { join } from "node:path";
import { MODEL_FAMILY, ops, PEFT_METHOD, type Kernel } from "@deft-js/core";
import { createKernel } from "@deft-js/run";
import { readFixtureJson } from "@deft-js/testkit";
import { beforeAll, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const FILE = join(ROOT, "../shared/goldens/param_counts.json");

const encoder = (model_type: string, hidden_size: number, num_hidden_layers: number, intermediate_size: number) => ({ model_type, vocab_size: 8, hidden_size, num_hidden_layers, num_attention_heads: hidden_size / 64, intermediate_size, max_position_embeddings: 16 });
const t5 = (d_model: number, d_ff: number, num_layers: number, num_heads: number, feed_forward_proj = "relu") => ({ model_type: "t5", vocab_size: 8, d_model, d_kv: 64, d_ff, num_layers, num_heads, feed_forward_proj, decoder_start_token_id: 0, pad_token_id: 0 });

/** The libraries' models by their real sizes; the vocabulary, which no count of these methods depends on, is small. */
const CONFIGS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  "bert-base-uncased": encoder("bert", 768, 12, 3072),
  "bert-large-uncased": encoder("bert", 1024, 24, 4096),
  "roberta-base": encoder("roberta", 768, 12, 3072),
  "roberta-large": encoder("roberta", 1024, 24, 4096),
  "t5-small": t5(512, 2048, 6, 8),
  "t5-base": t5(768, 3072, 12, 12),
  "flan-t5-small": t5(512, 1024, 8, 6, "gated-gelu"),
  "flan-t5-base": t5(768, 2048, 12, 12, "gated-gelu"),
  "flan-t5-large": t5(1024, 2816, 24, 16, "gated-gelu"),
  "flan-t5-xl": t5(2048, 5120, 24, 32, "gated-gelu"),
  "opt-125m": { model_type: "opt", vocab_size: 8, hidden_size: 768, word_embed_proj_dim: 768, num_hidden_layers: 12, num_attention_heads: 12, ffn_dim: 3072, max_position_embeddings: 16 },
};
const METHODS = {
  at_pfeiffer_rf16: { id: "adapter", options: { placement: "pfeiffer", reductionFactor: 16 } },
  at_houlsby_rf16: { id: "adapter", options: { placement: "houlsby", reductionFactor: 16 } },
  at_lora_r8_qv: { id: "lora", options: { rank: 8, alpha: 16 } },
  peft030_lora_r8_qv: { id: "lora", options: { rank: 8, alpha: 16 } },
} as const;

let kernel: Kernel;
beforeAll(async () => {
  kernel = await createKernel({ from: ROOT });
});

/** Trained parameters of the peers' classifiers: AdapterHub's two layers; PEFT's own head, which it counts twice. */
function headSize(library: string, { model_type: type, hidden_size: h }: { model_type?: unknown; hidden_size?: unknown }): number {
  if (typeof h !== "number" || type === "opt") return 0;
  const [dense, out] = [h * h + h, 2 * h + 2];
  return library.startsWith("at_") ? dense + out : 2 * (type === "bert" ? out : dense + out);
}

const present = existsSync(FILE);
const counts = present ? (readFixtureJson(FILE)["counts"] as Record<string, Record<string, { trainable: number }>>) : {};

it.skipIf(!present).each(present ? Object.keys(CONFIGS) : ["the goldens are not there"])("%s: LoRA and adapters train as many parameters as in the libraries", { timeout: 120_000 }, async (name) => {
  const config = CONFIGS[name]!;
  const family = kernel.contributions(MODEL_FAMILY).map(({ id }) => kernel.create(MODEL_FAMILY, id)).find(({ modelTypes }) => modelTypes.includes(String(config["model_type"])))!;
  const model = await family.build({ config, head: "none", absent: () => true, rng: new ops.Rng(1) });
  for (const [label, { id, options }] of Object.entries(METHODS)) {
    const expected = counts[name]![label];
    if (expected === undefined) continue;
    const attachment = kernel.create(PEFT_METHOD, id, options).attach(model, new ops.Rng(1));
    const found = attachment.variables.reduce((sum, { size }) => sum + size, 0);
    attachment.detach();
    expect(found + headSize(label, config), label).toBe(expected.trainable);
  }
  model.dispose();
});

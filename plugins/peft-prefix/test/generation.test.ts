import { ops, type Batch, type Model } from "@deft-js/core";
import { optFamily } from "@deft-js/plugin-model-opt";
import { prompt } from "@deft-js/plugin-peft-prompt";
import { demandClose } from "@deft-js/testkit";
import { describe, it } from "vitest";
import { prefix } from "../src/index.ts";
import { oddT5 } from "./goldens.ts";

const opt = () => optFamily.build({ config: { model_type: "opt", vocab_size: 12, hidden_size: 8, word_embed_proj_dim: 8, num_hidden_layers: 2, num_attention_heads: 2, ffn_dim: 12, max_position_embeddings: 20, do_layer_norm_before: true, init_std: 0.5 }, head: "language-model", rng: new ops.Rng(3) });
const NEW = [3, 7, 2];

const ids = (rows: number[][]): ops.Tensor => ops.intTensor(rows.flat(), [rows.length, rows[0]!.length]);
const mask = (rows: number[][]): ops.Tensor => ops.tensor(rows.flat(), [rows.length, rows[0]!.length]);

/** Logits of each new position when one token after the other is fed. */
function stepped(model: Model, batch: Batch): Float32Array[] {
  const decoding = model.decode!(batch);
  const found = [ops.scope(() => ops.read(decoding.begin())), ...NEW.map((id) => ops.scope(() => ops.read(decoding.step(Int32Array.of(id, id)))))];
  decoding.dispose();
  return found;
}

/** The last row of logits for every example. */
function last(logits: ops.Tensor, back = 0): Float32Array {
  const [size = 0, positions = 0, width = 0] = logits.shape;
  return ops.read(ops.slice(logits, [0, positions - 1 - back, 0], [size, 1, width]));
}

describe.each([
  ["a prefix", prefix({ virtualTokens: 3 })],
  ["a projected prefix", prefix({ virtualTokens: 3, projectionSize: 4 })],
  ["PEFT's prefix", prefix({ virtualTokens: 3, compat: "peft" })],
  ["a prompt", prompt({ virtualTokens: 3 })],
])("generation with %s is one pass over the whole text", (name, method) => {
  it("on OPT, padded on the left", async () => {
    const model = await opt();
    method.attach(model, new ops.Rng(1));
    const [texts, masks] = [[[2, 5, 6, 4], [1, 2, 8, 9]], [[1, 1, 1, 1], [0, 1, 1, 1]]];
    const batch = (extra: number): Batch => ({ size: 2, seq: 4 + extra, inputIds: ids(texts.map((row) => [...row, ...NEW.slice(0, extra)])), attentionMask: mask(masks.map((row) => [...row, ...NEW.slice(0, extra).map(() => 1)])) });
    for (const [i, actual] of stepped(model, batch(0)).entries())
      demandClose({ name: `step ${i}`, actual, expected: ops.scope(() => last(model.forward(batch(i)).logits)), tolerance: 1e-5, relativeTo: "max" });
    model.dispose();
  });

  it.skipIf(name.startsWith("PEFT"))("on T5 with keys of another width than the hidden states", async () => {
    const model = await oddT5();
    method.attach(model, new ops.Rng(1));
    const source = { size: 2, seq: 4, inputIds: ids([[2, 5, 6, 1], [8, 9, 1, 0]]), attentionMask: mask([[1, 1, 1, 1], [1, 1, 1, 0]]) };
    const labels = ids([[...NEW, 1], [...NEW, 1]]);
    const steps = stepped(model, source);
    for (const [i, actual] of steps.entries())
      demandClose({ name: `step ${i}`, actual, expected: ops.scope(() => last(model.forward({ ...source, labels }).logits, NEW.length - i)), tolerance: 1e-5, relativeTo: "max" });
    model.dispose();
  });
});

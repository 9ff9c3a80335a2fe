import { Kernel, ops, PEFT_METHOD, type Model } from "@deft-js/core";
import { bertFamily } from "@deft-js/plugin-model-bert";
import { gradientCheck, toyBatch, toyModel } from "@deft-js/testkit";
import { describe, expect, it } from "vitest";
import { bitfit, bitfitPlugin } from "../src/index.ts";

const bert = (): Promise<Model> =>
  bertFamily.build({ config: { model_type: "bert", vocab_size: 9, hidden_size: 4, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 6, initializer_range: 0.5 }, head: "sequence-classification", labels: 3, rng: new ops.Rng(1) });
const batch = { size: 1, seq: 3, inputIds: Int32Array.of(1, 4, 2), attentionMask: Float32Array.of(1, 1, 1) };
const logits = (model: Model): Float32Array =>
  ops.scope(() => ops.read(model.forward({ size: 1, seq: 3, inputIds: ops.intTensor([...batch.inputIds], [1, 3]), attentionMask: ops.tensor(batch.attentionMask, [1, 3]) }).logits));

describe("bitfit", () => {
  it("stands at every bias, layer norms included, and is the model with other biases", async () => {
    const model = await bert();
    const attachment = bitfit().attach(model, new ops.Rng(1));
    const names = attachment.variables.map(({ path }) => path.replace(/^bert\./, "").replace(/\.change$/, ""));
    expect(names).toEqual([
      ...["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense", "intermediate.dense", "output.dense"].map((name) => `encoder.layer.0.${name}.bias`),
      "pooler.dense.bias", "embeddings.LayerNorm.bias", "encoder.layer.0.attention.output.LayerNorm.bias", "encoder.layer.0.output.LayerNorm.bias",
    ]);
    const rng = new ops.Rng(4);
    const state = attachment.state().map((array) => ({ ...array, values: rng.normals(array.values.length, 0.5) }));
    attachment.loadState(state);
    const found = logits(model);
    attachment.detach();
    for (const { name, values } of state) {
      const bias = model.parameters().get(name.replace(/\.change$/, ""))!;
      bias.load(bias.data().map((value, i) => value + values[i]!));
    }
    for (const [i, value] of logits(model).entries()) expect(value).toBeCloseTo(found[i]!, 5);
    model.dispose();
  });

  it("merges into the biases, reckoned by hand", async () => {
    const model = await bert();
    const name = "bert.encoder.layer.0.output.LayerNorm.bias";
    const bias = model.parameters().get(name)!;
    bias.load(Float32Array.of(1, 2, 3, 4));
    const attachment = bitfit({ target: /output\.LayerNorm\.bias$/ }).attach(model, new ops.Rng(1));
    attachment.loadState(attachment.state().map((array) => ({ ...array, values: array.name.startsWith(name) ? Float32Array.of(0.5, 0, -1, 2) : array.values })));
    attachment.merge!();
    expect([...bias.data()]).toEqual([1.5, 2, 2, 6]);
    model.dispose();
  });

  it("has the gradient of central differences", async () => {
    const model = await toyModel();
    const attachment = bitfit().attach(model, new ops.Rng(1));
    const toy = toyBatch();
    gradientCheck({ name: "bitfit", f: () => model.loss(model.forward(toy), toy), variables: attachment.variables, step: 1e-2, tolerance: 2e-2 });
    model.dispose();
  });

  it("says so when a model has no biases, and names those that there are when none matches", async () => {
    const model = await toyModel();
    expect(() => bitfit({ target: "nothing" }).attach(model, new ops.Rng(1))).toThrow(/Known: toy\.encoder\.layer\.\*\.attention\.self\.query\.bias, /);
    const bare = { family: "t5", sites: () => [] } as unknown as Model;
    expect(() => bitfit().attach(bare, new ops.Rng(1))).toThrow(expect.objectContaining({ code: "bitfit.target", message: expect.stringContaining("t5 have no biases") as string }));
    model.dispose();
  });

  it("refuses options outside its schema; no other library's layout holds it", async () => {
    for (const settings of [{ target: "(" }, { targets: "x" }, { target: /x/i }]) expect(() => bitfit(settings as never)).toThrow(expect.objectContaining({ code: "options.invalid" }));
    const model = await toyModel();
    expect(bitfit().attach(model, new ops.Rng(1)).layouts).toBeUndefined();
    expect(new Kernel().use(bitfitPlugin).create(PEFT_METHOD, "bitfit", {}).options).toEqual(bitfit().options);
    model.dispose();
  });
});

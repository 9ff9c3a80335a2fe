import { ADAPTER_READER, Kernel, ops, PEFT_METHOD, type Model } from "@deft-js/core";
import { bertFamily } from "@deft-js/plugin-model-bert";
import { gradientCheck, toyBatch, toyModel } from "@deft-js/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DEFAULT_FEEDFORWARD, ia3, ia3Plugin, peftReader } from "../src/index.ts";

const bert = (): Promise<Model> =>
  bertFamily.build({ config: { model_type: "bert", vocab_size: 5, hidden_size: 4, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 6 }, head: "none", rng: new ops.Rng(1) });

async function on(made: Promise<Model>, body: (model: Model) => void): Promise<void> {
  const model = await made;
  try {
    body(model);
  } finally {
    model.dispose();
  }
}

interface Runnable {
  forward(x: ops.Tensor, context: object): ops.Tensor;
}

const PATH = "toy.encoder.layer.0.attention.self.value";
const FILE = { peft_type: "IA3", base_model_name_or_path: "b", target_modules: ["key", "value", "output.dense"], feedforward_modules: ["output.dense"], modules_to_save: null, task_type: "SEQ_CLS", fan_in_fan_out: false, inference_mode: true, init_ia3_weights: true };

/** (x·W + b) for W with rows of i and b of 10, through the wrappers of the toy's value layer. */
function output(model: Model, x: readonly number[]): number[] {
  const site = model.sites("linear", /layer\.0\.attention\.self\.value$/)[0]!;
  model.parameters().get(`${PATH}.weight`)!.load(Float32Array.from({ length: 36 }, (_, i) => Number(i % 7 === 0)));
  model.parameters().get(`${PATH}.bias`)!.load(new Float32Array(6).fill(10));
  return ops.scope(() => [...ops.read((site as unknown as Runnable).forward(ops.tensor(x as number[], [1, 6]), {}))]);
}

const L = [1, 2, 3, 0, -1, 0.5];

describe("ia3", () => {
  it("multiplies the output, bias included, reckoned by hand", () =>
    on(toyModel({ sizes: { layers: 1 } }), (model) => {
      const attachment = ia3({ target: "value$", feedforward: "^(?!)" }).attach(model, new ops.Rng(1));
      attachment.loadState([{ name: `${PATH}.ia3_l`, shape: [6], values: Float32Array.from(L) }]);
      expect(output(model, [1, 2, 3, 4, 5, 6])).toEqual([11, 24, 39, 0, -15, 8]);
      attachment.merge!();
      expect([...model.parameters().get(`${PATH}.bias`)!.data()]).toEqual([10, 20, 30, 0, -10, 5]);
    }));

  it("multiplies a feedforward layer's input, reckoned by hand", () =>
    on(toyModel({ sizes: { layers: 1 } }), (model) => {
      const attachment = ia3({ target: "value$", feedforward: "value$" }).attach(model, new ops.Rng(1));
      attachment.loadState([{ name: `${PATH}.ia3_l`, shape: [6], values: Float32Array.from(L) }]);
      expect(output(model, [1, 2, 3, 4, 5, 6])).toEqual([11, 14, 19, 10, 5, 13]);
      attachment.detach();
      expect(output(model, [1, 2, 3, 4, 5, 6])).toEqual([11, 12, 13, 14, 15, 16]);
    }));

  it("has the gradient of central differences", () =>
    on(toyModel(), (model) => {
      const attachment = ia3({ target: /(value|output\.dense)$/ }).attach(model, new ops.Rng(1));
      attachment.loadState(attachment.state().map((array) => ({ ...array, values: array.values.map((_, i) => 0.8 + 0.1 * i) })));
      const batch = toyBatch();
      gradientCheck({ name: "ia3", f: () => model.loss(model.forward(batch), batch), variables: attachment.variables, step: 1e-2, tolerance: 2e-2 });
    }));

  it("stands at keys, values and the MLP's down-projection by default, not at the attention's output", () =>
    on(bert(), (model) => {
      const attachment = ia3().attach(model, new ops.Rng(1));
      expect(attachment.state().map(({ name, shape }) => [name.replace("bert.encoder.layer.0.", ""), shape])).toEqual([["attention.self.key.ia3_l", [4]], ["attention.self.value.ia3_l", [4]], ["output.dense.ia3_l", [6]]]);
      expect(attachment.layouts!.peft!.write("default").map(({ name, shape }) => [name.replace("base_model.model.bert.encoder.layer.0.", ""), shape])).toEqual([["attention.self.key.ia3_l", [4, 1]], ["attention.self.value.ia3_l", [4, 1]], ["output.dense.ia3_l", [1, 6]]]);
    }));

  it("takes a folder's modules at their word, ends included", () =>
    on(bert(), (model) => {
      const attachment = peftReader.read(FILE)!.attach(model, new ops.Rng(1));
      expect(attachment.variables.map(({ path, shape }) => [path.replace("bert.encoder.layer.0.", ""), shape[0]])).toEqual([["attention.self.key.ia3_l", 4], ["attention.self.value.ia3_l", 4], ["attention.output.dense.ia3_l", 4], ["output.dense.ia3_l", 6]]);
      const written = attachment.layouts!.peft!.config();
      expect(written).toMatchObject({ peft_type: "IA3", task_type: "SEQ_CLS", fan_in_fan_out: false });
      expect(peftReader.read(JSON.parse(JSON.stringify(written)) as Record<string, unknown>)!.attach(model, new ops.Rng(1)).variables.map(({ path }) => path)).toEqual(attachment.variables.map(({ path }) => path));
    }));

  it("reads lists, patterns and null, refuses another arithmetic and knows its keys", () => {
    expect(peftReader.read({ ...FILE, target_modules: null, feedforward_modules: null })!.options).toEqual({ ...ia3().options, kept: { peft: { modules_to_save: null, task_type: "SEQ_CLS" } } });
    expect(peftReader.read({ ...FILE, feedforward_modules: [] })!.options["feedforward"]).not.toBe(DEFAULT_FEEDFORWARD);
    expect(peftReader.read({ ...FILE, target_modules: ".*key" })!.options["target"]).toBe("^(?:.*key)$");
    for (const changes of [{ fan_in_fan_out: true }, { exclude_modules: ["x"] }, { target_modules: 3 }, { feedforward_modules: "(" }])
      expect(() => peftReader.read({ ...FILE, ...changes }), JSON.stringify(changes)).toThrow(expect.objectContaining({ code: "ia3.config" }));
    expect(peftReader.read({ ...FILE, peft_type: "LORA" })).toBeUndefined();
    expect(peftReader.unknownKeys!({ ...FILE, novelty: 1 })).toEqual(["novelty"]);
    fc.assert(fc.property(fc.dictionary(fc.constantFrom("target_modules", "feedforward_modules", "fan_in_fan_out", "x"), fc.jsonValue()), (changes) => {
      try {
        expect(peftReader.read({ ...FILE, ...changes })!.id).toBe("ia3");
      } catch (error) {
        expect(error).toMatchObject({ code: "ia3.config" });
      }
    }));
  });

  it("refuses options outside its schema and a target that matches nothing", () =>
    on(bert(), (model) => {
      for (const settings of [{ target: "(" }, { feedforward: 3 }, { targets: "x" }]) expect(() => ia3(settings as never), JSON.stringify(settings)).toThrow(expect.objectContaining({ code: "options.invalid" }));
      expect(() => ia3({ target: "nothing" }).attach(model, new ops.Rng(1))).toThrow(expect.objectContaining({ code: "ia3.target" }));
      const kernel = new Kernel().use(ia3Plugin);
      expect(kernel.create(PEFT_METHOD, "ia3", {}).options).toEqual(ia3().options);
      expect(kernel.contributions(ADAPTER_READER).map(({ id }) => id)).toEqual(["ia3-peft"]);
    }));
});

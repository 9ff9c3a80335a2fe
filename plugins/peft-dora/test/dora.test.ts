import { ADAPTER_READER, AdapterSet, Kernel, ops, PEFT_METHOD, type Model } from "@deft-js/core";
import { gradientCheck, toyBatch, toyModel } from "@deft-js/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dora, doraPlugin, peftReader } from "../src/index.ts";

const PATH = "toy.encoder.layer.0.attention.self.value";
const FILE = { peft_type: "LORA", use_dora: true, base_model_name_or_path: "b", r: 4, lora_alpha: 8, lora_dropout: 0, target_modules: ["query", "value"], bias: "none", fan_in_fan_out: false, inference_mode: true, init_lora_weights: true, modules_to_save: null, task_type: "SEQ_CLS" };

async function withToy(body: (model: Model) => void): Promise<void> {
  const model = await toyModel({ sizes: { layers: 1 } });
  try {
    body(model);
  } finally {
    model.dispose();
  }
}

interface Runnable {
  forward(x: ops.Tensor, context: object): ops.Tensor;
}

/** The value layer's output for one row. */
function output(model: Model, x: readonly number[]): number[] {
  const site = model.sites("linear", /layer\.0\.attention\.self\.value$/)[0] as unknown as Runnable;
  return ops.scope(() => [...ops.read(site.forward(ops.tensor(x as number[], [1, 6]), { training: false }))]);
}

/** Values of both columns that matter: W = 3·e₀e₀ᵀ + e₁e₁ᵀ, b = (1, 1, …); A = 4·e₁, B = e₀ᵀ: V has the columns (3, 4, 0, …), norm 5, and (0, 1, 0, …). */
function reckonable(model: Model) {
  const weight = new Float32Array(36).fill(0);
  for (let i = 0; i < 6; i++) weight[i * 7] = 1;
  weight[0] = 3;
  model.parameters().get(`${PATH}.weight`)!.load(weight);
  model.parameters().get(`${PATH}.bias`)!.load(new Float32Array(6).fill(1));
  const attachment = dora({ rank: 1, alpha: 1, target: "value$" }).attach(model, new ops.Rng(1));
  expect([...attachment.state()[2]!.values]).toEqual([3, 1, 1, 1, 1, 1]); // m starts as ‖W‖
  attachment.loadState([
    { name: `${PATH}.lora_A`, shape: [6, 1], values: Float32Array.of(0, 4, 0, 0, 0, 0) },
    { name: `${PATH}.lora_B`, shape: [1, 6], values: Float32Array.of(1, 0, 0, 0, 0, 0) },
    { name: `${PATH}.lora_magnitude_vector`, shape: [6], values: Float32Array.of(10, 2, 1, 1, 1, 1) },
  ]);
  return attachment;
}

describe("dora", () => {
  it("computes x·(m∘V/‖V‖) + b, reckoned by hand, and merges into it", () =>
    withToy((model) => {
      const attachment = reckonable(model);
      // column 0: 10·(3, 4)/5 = (6, 8); column 1: 2·(0, 1); the others as they were
      expect(output(model, [1, 2, 3, 4, 5, 6])).toEqual([6 + 16 + 1, 4 + 1, 4, 5, 6, 7]);
      attachment.merge!();
      expect(output(model, [1, 2, 3, 4, 5, 6])).toEqual([23, 5, 4, 5, 6, 7]);
      expect([...model.parameters().get(`${PATH}.weight`)!.data()].filter((value) => value !== 0)).toEqual([6, 8, 2, 1, 1, 1, 1]);
    }));

  it("counts the norm as a constant: the gradient is that of the layer with the norm fixed", () =>
    withToy((model) => {
      const attachment = reckonable(model);
      const [down, up, magnitude] = attachment.variables as [ops.Variable, ops.Variable, ops.Variable];
      const site = model.sites("linear", /layer\.0\.attention\.self\.value$/)[0] as unknown as Runnable;
      const gradients = ops.scope(() => {
        const f = (): ops.Tensor => ops.sum(ops.mul(site.forward(ops.tensor([1, 2, 3, 4, 5, 6], [1, 6]), { training: false }), ops.tensor([1, 10, 0, 0, 0, 0], [1, 6])));
        return [...ops.valueAndGradients(f, [down, up, magnitude]).gradients.values()].map((gradient) => [...ops.read(gradient)]);
      });
      // y₀ = m₀/5·(x·v₀) + 1, y₁ = m₁·x₁ + 1, f = y₀ + 10·y₁, with 1/‖v₀‖ = 1/5 fixed:
      // ∂f/∂A = m₀/5·B₀·x = 2x; ∂f/∂B = (m₀/5·x·A, 10·m₁·x·A, 0, …) = (16, 160, 0, …); ∂f/∂m = (11/5, 20, 0, …)
      expect(gradients[0]).toEqual([2, 4, 6, 8, 10, 12]);
      expect(gradients[1]).toEqual([16, 160, 0, 0, 0, 0]);
      gradients[2]!.forEach((value, i) => expect(value).toBeCloseTo([2.2, 20, 0, 0, 0, 0][i]!, 5));
    }));

  it("has the magnitude's gradient of central differences through the whole model", () =>
    withToy((model) => {
      const attachment = dora({ rank: 2, target: /(query|dense)$/ }).attach(model, new ops.Rng(1));
      attachment.loadState(attachment.state().map((array) => (array.name.endsWith("lora_B") ? { ...array, values: array.values.map((_, i) => 0.1 * (i % 3)) } : array)));
      const batch = toyBatch();
      const variables = attachment.variables.filter(({ path }) => path.endsWith("magnitude_vector"));
      gradientCheck({ name: "dora", f: () => model.loss(model.forward(batch), batch), variables, step: 1e-2, tolerance: 2e-2 });
    }));

  it("scales the weight's product alone where another method stands in between", () =>
    withToy((model) => {
      const site = model.sites("linear", /layer\.0\.attention\.self\.value$/)[0]!;
      const plain = site.wrap((x, base) => ops.add(base(x), ops.fill([1, 6], 100)));
      const attachment = reckonable(model);
      expect(output(model, [1, 2, 3, 4, 5, 6])).toEqual([123, 105, 104, 105, 106, 107]);
      plain();
      expect(output(model, [1, 2, 3, 4, 5, 6])).toEqual([23, 5, 4, 5, 6, 7]);
      attachment.detach();
    }));

  it("refuses to merge into a weight that something else was merged into", () =>
    withToy((model) => {
      const set = new AdapterSet(model);
      set.add("one", dora({ rank: 1, target: "value$" }), new ops.Rng(1));
      set.add("two", dora({ rank: 1, target: "value$" }), new ops.Rng(2));
      for (const name of set.names) set.get(name).loadState(set.get(name).state().map((array) => ({ ...array, values: array.values.map((value) => value + 0.3) })));
      set.use(["one", "two"]);
      const before = output(model, [1, 2, 3, 4, 5, 6]);
      expect(() => set.merge()).toThrow(expect.objectContaining({ code: "dora.weight" }));
      expect(output(model, [1, 2, 3, 4, 5, 6])).toEqual(before);
      set.use("one");
      const one = output(model, [1, 2, 3, 4, 5, 6]);
      set.merge();
      output(model, [1, 2, 3, 4, 5, 6]).forEach((value, i) => expect(value).toBeCloseTo(one[i]!, 4));
      set.dispose();
    }));

  it("is LoRA with use_dora in HF PEFT's folders", () =>
    withToy((model) => {
      const attachment = peftReader.read({ ...FILE, novelty: 3 })!.attach(model, new ops.Rng(1));
      const layout = attachment.layouts!.peft!;
      expect({ ...layout.config(), base_model_name_or_path: "b" }).toEqual({ ...FILE, novelty: 3 });
      const written = layout.write("default");
      expect(written.slice(3).map(({ name, shape }) => [name, shape])).toEqual([[`base_model.model.${PATH}.lora_A.weight`, [4, 6]], [`base_model.model.${PATH}.lora_B.weight`, [6, 4]], [`base_model.model.${PATH}.lora_magnitude_vector`, [6]]]);
      layout.read(new Map(written.map((array) => array.name.endsWith("vector") ? [`${array.name}.weight`, { ...array, name: `${array.name}.weight`, values: array.values.map(() => 2) }] : [array.name, array])), "default");
      expect(attachment.state().filter(({ name }) => name.endsWith("vector")).every(({ values }) => values.every((value) => value === 2))).toBe(true);
      expect(peftReader.unknownKeys!({ ...FILE, novelty: 3 })).toEqual(["novelty"]);
      expect(peftReader.read({ ...FILE, use_dora: false })).toBeUndefined();
      for (const changes of [{ use_rslora: true }, { bias: "all" }, { r: 0 }, { target_modules: "all-linear" }, { init_lora_weights: "pissa" }])
        expect(() => peftReader.read({ ...FILE, ...changes }), JSON.stringify(changes)).toThrow(expect.objectContaining({ code: "dora.config" }));
    }));

  it("refuses options outside its schema and takes any valid ones through JSON", () =>
    withToy((model) => {
      for (const settings of [{ rank: 0 }, { alpha: -1 }, { dropout: 1 }, { target: "(" }, { ranks: 8 }]) expect(() => dora(settings as never), JSON.stringify(settings)).toThrow(expect.objectContaining({ code: "options.invalid" }));
      expect(() => dora({ target: "attn" }).attach(model, new ops.Rng(1))).toThrow(expect.objectContaining({ code: "dora.target" }));
      const kernel = new Kernel().use(doraPlugin);
      expect(kernel.create(PEFT_METHOD, "dora", { rank: 4 }).options).toEqual(dora({ rank: 4 }).options);
      expect(kernel.contributions(ADAPTER_READER).map(({ id }) => id)).toEqual(["dora-peft"]);
      fc.assert(fc.property(fc.integer({ min: 1, max: 64 }), fc.double({ min: 0.1, max: 64, noNaN: true }), (rank, alpha) => {
        const { options } = dora({ rank, alpha });
        expect(dora(JSON.parse(JSON.stringify(options)) as never).options).toEqual(options);
      }));
    }));
});

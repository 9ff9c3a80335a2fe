import { join } from "node:path";
import { Kernel, ops, PEFT_METHOD, trainingContext, type Model } from "@deft-js/core";
import { readFixtureJson, toyModel } from "@deft-js/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { adapter, adapterHubReader, adapterPlugin } from "../src/index.ts";

const SITE = "toy.encoder.layer.0.output";
const config = (golden: string): Record<string, unknown> => readFixtureJson(join(import.meta.dirname, "fixtures", golden, "adapter", "adapter_config.json"));
const withInner = (changes: object): Record<string, unknown> => ({ ...config("bert-pfeiffer-at"), config: { ...(config("bert-pfeiffer-at")["config"] as object), ...changes } });

async function withToy(body: (model: Model) => void): Promise<void> {
  const model = await toyModel({ sizes: { layers: 1 } });
  try {
    body(model);
  } finally {
    model.dispose();
  }
}

interface Residual {
  run(input: unknown, context: unknown, base: (input: { hidden: ops.Tensor }) => ops.Tensor): ops.Tensor;
}

/** What is added to the residual stream for h = 1 … 6, x = 10 and normalize(z) = z/2. */
function added(model: Model, context = { training: false, nextSeed: () => 0 }): number[] {
  const site = model.sites("residual", new RegExp(`^${SITE}$`))[0] as unknown as Residual;
  return ops.scope(() => {
    const input = { hidden: ops.tensor([1, 2, 3, 4, 5, 6], [1, 1, 6]), residual: ops.tensor(new Float32Array(6).fill(10), [1, 1, 6]), normalize: (z: ops.Tensor) => ops.scale(z, 0.5), context };
    return [...ops.read(site.run(input, context, ({ hidden }) => hidden))];
  });
}

/** Bottleneck of one neuron: u = z₀ − z₅ + 3, up by (1, 0, 0, 0, 0, 2) + 0.25. */
function reckonable(model: Model, placement: "pfeiffer" | "houlsby") {
  const attachment = adapter({ placement, reductionFactor: 6, nonLinearity: "relu", dropout: 0.5 }).attach(model, new ops.Rng(1));
  const values: Record<string, number[]> = { "down.weight": [1, 0, 0, 0, 0, -1], "down.bias": [3], "up.weight": [1, 0, 0, 0, 0, 2], "up.bias": [0.25, 0.25, 0.25, 0.25, 0.25, 0.25] };
  attachment.loadState(attachment.state().map((array) => ({ ...array, values: array.name.startsWith(`${SITE}.adapter`) ? Float32Array.from(values[array.name.slice(SITE.length + 9)]!) : array.values })));
  return attachment;
}

describe("adapter", () => {
  it("pfeiffer: adds h + f(z·W₁ + b₁)·W₂ + b₂ with z = normalize(h + x), reckoned by hand", () =>
    withToy((model) => {
      const attachment = reckonable(model, "pfeiffer"); // z = (5.5, …, 8), u = 5.5 − 8 + 3 = 0.5
      expect(added(model)).toEqual([1.75, 2.25, 3.25, 4.25, 5.25, 7.25]);
      attachment.detach();
      expect(added(model)).toEqual([1, 2, 3, 4, 5, 6]);
    }));

  it("houlsby: the same with z = h", () =>
    withToy((model) => {
      const attachment = reckonable(model, "houlsby"); // u = 1 − 6 + 3 = −2, relu 0
      expect(added(model)).toEqual([1.25, 2.25, 3.25, 4.25, 5.25, 6.25]);
      attachment.detach();
    }));

  it("drops elements of its own output, while training alone", () =>
    withToy((model) => {
      reckonable(model, "houlsby");
      const branch = added(model, trainingContext(new ops.Rng(3))).map((value, i) => value - (i + 1));
      expect(new Set(branch)).toEqual(new Set([0, 0.5]));
    }));

  it("stands after the MLP (pfeiffer) or after attention and MLP (houlsby), with N(0, 0.02) and zero biases", () =>
    withToy((model) => {
      const paths = (placement: "pfeiffer" | "houlsby"): string[] => {
        const attachment = adapter({ placement, reductionFactor: 2 }).attach(model, new ops.Rng(1));
        const state = attachment.state();
        attachment.detach();
        expect(state.filter(({ name }) => name.endsWith("bias")).every(({ values }) => values.every((value) => value === 0))).toBe(true);
        expect(Math.max(...state.flatMap(({ values }) => [...values].map(Math.abs)))).toBeLessThan(0.1);
        expect(state.map(({ shape }) => shape).slice(0, 4)).toEqual([[6, 3], [3], [3, 6], [6]]);
        return [...new Set(state.map(({ name }) => name.replace(/\.adapter\..*/, "")))];
      };
      expect(paths("pfeiffer")).toEqual([SITE]);
      expect(paths("houlsby")).toEqual(["toy.encoder.layer.0.attention.output", SITE]);
    }));

  it("cannot be merged", () => withToy((model) => expect(adapter().attach(model, new ops.Rng(1)).merge).toBeUndefined()));

  it("says so when a model has no place for it", () => {
    const model = { family: "bare", sites: () => [] } as unknown as Model;
    expect(() => adapter().attach(model, new ops.Rng(1))).toThrow(expect.objectContaining({ code: "adapter.target" }));
  });

  it("refuses options outside its schema and fills in the placement's non-linearity", () => {
    for (const settings of [{ placement: "parallel" }, { reductionFactor: 0 }, { dropout: 1 }, { nonLinearity: "swish" }, { factor: 2 }])
      expect(() => adapter(settings as never), JSON.stringify(settings)).toThrow(expect.objectContaining({ code: "options.invalid" }));
    expect(adapter().options).toMatchObject({ placement: "pfeiffer", reductionFactor: 16, nonLinearity: "relu" });
    expect(new Kernel().use(adapterPlugin).create(PEFT_METHOD, "adapter", { placement: "houlsby" }).options).toMatchObject({ nonLinearity: "silu" });
  });
});

describe("AdapterHub's configuration", () => {
  it.each([["bert-pfeiffer-at", "pfeiffer", "relu"], ["bert-houlsby-at", "houlsby", "silu"]])("of %s gives the method and is written as it was", async (golden, placement, nonLinearity) => {
    const method = adapterHubReader.read(config(golden))!;
    expect(method.options).toMatchObject({ placement, nonLinearity, reductionFactor: 4, dropout: 0 });
    await withToy((model) => {
      const written = method.attach(model, new ops.Rng(1)).layouts!.adapterhub!.config();
      expect(written).toEqual({ config: config(golden)["config"], hidden_size: 6, model_type: "toy" });
    });
  });

  it("keeps unknown keys and refuses another arithmetic, naming the key", () => {
    expect(adapterHubReader.read(withInner({ novelty: [1] }))!.options).toMatchObject({ kept: { adapterhub: { novelty: [1] } } });
    expect(adapterHubReader.read(withInner({ stochastic_depth: 0.0, dropout: 0.2 }))!.options).toMatchObject({ dropout: 0.2 });
    const refused = { ln_before: true, is_parallel: true, scaling: 4, phm_layer: true, inv_adapter: "nice", leave_out: [0], use_gating: true, residual_before_ln: false, cross_adapter: true, stochastic_depth: 0.1 };
    for (const [key, value] of Object.entries(refused)) {
      expect(() => adapterHubReader.read(withInner({ [key]: value })), key).toThrow(expect.objectContaining({ code: "adapter.config" }));
      expect(() => adapterHubReader.read(withInner({ [key]: value }))).toThrow(new RegExp(key));
    }
    for (const changes of [{ mh_adapter: true }, { reduction_factor: { default: 16 } }, { non_linearity: "leakyrelu" }])
      expect(() => adapterHubReader.read(withInner(changes))).toThrow(expect.objectContaining({ code: "adapter.config" }));
  });

  it("of another method is left alone, and whatever it holds gives a method, undefined or adapter.config", () => {
    expect(adapterHubReader.read(withInner({ architecture: "lora" }))).toBeUndefined();
    expect(adapterHubReader.read({ config: null })).toBeUndefined();
    fc.assert(fc.property(fc.dictionary(fc.constantFrom("reduction_factor", "non_linearity", "mh_adapter", "scaling", "dropout", "x"), fc.jsonValue()), (changes) => {
      try {
        expect(adapterHubReader.read(withInner(changes))!.id).toBe("adapter");
      } catch (error) {
        expect(error).toMatchObject({ code: "adapter.config" });
      }
    }));
  });
});

import { join } from "node:path";
import { ops, QUERY_AND_VALUE } from "@deft-js/core";
import { bertFamily } from "@deft-js/plugin-model-bert";
import { readFixtureJson, toyModel } from "@deft-js/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { adapterHubReader, lora, peftReader } from "../src/index.ts";

const config = (folder: string): Record<string, unknown> => readFixtureJson(join(import.meta.dirname, "fixtures", folder, "adapter", "adapter_config.json"));
const PEFT = config("bert-lora-peft");
const HUB = config("bert-lora-at");
const withInner = (changes: object): Record<string, unknown> => ({ ...HUB, config: { ...(HUB["config"] as object), ...changes } });
const bert = () => bertFamily.build({ config: { model_type: "bert", vocab_size: 5, hidden_size: 4, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 4 }, head: "none", rng: new ops.Rng(1) });
const targets = async (target: unknown): Promise<string[]> => {
  const model = await bert();
  const paths = lora({ target: target as string }).attach(model, new ops.Rng(1)).variables.map(({ path }) => path.replace(/\.lora_.$/, ""));
  model.dispose();
  return [...new Set(paths)].map((path) => path.replace("bert.encoder.layer.0.", ""));
};

describe("PEFT's configuration", () => {
  it("gives the method that the fixture was made with", async () => {
    const { options } = peftReader.read(PEFT)!;
    expect(options).toMatchObject({ rank: 4, alpha: 8, dropout: 0, init: "kaiming" });
    expect(await targets(options["target"])).toEqual(["attention.self.query", "attention.self.value"]);
  });

  it("is written as the library writes it", async () => {
    const model = await bert();
    const layout = peftReader.read({ ...PEFT, peft_version: "0.99", eva_config: null })!.attach(model, new ops.Rng(1)).layouts!.peft!;
    expect({ ...layout.config(), base_model_name_or_path: "base" }).toEqual({ ...PEFT, peft_version: "0.99", eva_config: null });
    model.dispose();
  });

  it("matches names at their ends, a pattern as a whole and null by the family", async () => {
    const target = (target_modules: unknown): unknown => peftReader.read({ ...PEFT, target_modules })!.options["target"];
    expect(await targets(target(["output.dense"]))).toEqual(["attention.output.dense", "output.dense"]);
    expect(await targets(target(".*intermediate\\.dense"))).toEqual(["intermediate.dense"]);
    expect(target(null)).toBe(QUERY_AND_VALUE);
    await expect(targets(target("dense"))).rejects.toMatchObject({ code: "lora.target" });
    await expect(targets(target(["a.b"]))).rejects.toMatchObject({ code: "lora.target" });
  });

  it("is refused where it asks for another arithmetic, naming the key", () => {
    const refused = { rank_pattern: { q: 2 }, alpha_pattern: { q: 2 }, use_rslora: true, bias: "all", fan_in_fan_out: true, layers_to_transform: [1], init_lora_weights: "pissa", exclude_modules: ["x"], target_modules: "all-linear" };
    for (const [key, value] of Object.entries(refused)) {
      const read = (): unknown => peftReader.read({ ...PEFT, [key]: value });
      expect(read, key).toThrow(expect.objectContaining({ code: "lora.config" }));
      expect(read).toThrow(new RegExp(key));
    }
    for (const harmless of [{ rank_pattern: {} }, { use_dora: false }, { layers_to_transform: null }]) expect(peftReader.read({ ...PEFT, ...harmless })).toBeDefined();
  });

  it("tells the keys that it does not know", () => expect(peftReader.unknownKeys!({ ...PEFT, r_pattern: 1, eva_config: null })).toEqual(["r_pattern"]));

  it("of another method is left alone, and whatever it holds gives a method, undefined or lora.config", () => {
    expect(peftReader.read({ ...PEFT, peft_type: "IA3" })).toBeUndefined();
    expect(peftReader.read({ ...PEFT, use_dora: true })).toBeUndefined();
    fc.assert(fc.property(fc.dictionary(fc.constantFrom("r", "lora_alpha", "lora_dropout", "target_modules", "bias", "rank_pattern", "x"), fc.jsonValue()), (changes) => {
      try {
        expect(peftReader.read({ ...PEFT, ...changes })!.id).toBe("lora");
      } catch (error) {
        expect(error).toMatchObject({ code: "lora.config" });
      }
    }));
  });
});

describe("AdapterHub's configuration", () => {
  it("gives the method that the fixture was made with", async () => {
    const { options } = adapterHubReader.read(HUB)!;
    expect(options).toMatchObject({ rank: 4, alpha: 8, dropout: 0 });
    expect(await targets(options["target"])).toEqual(["attention.self.query", "attention.self.value"]);
  });

  it("is written as the library writes it", async () => {
    const model = await bert();
    const file = withInner({ vera_d: null, dtype: "float32" });
    const layout = adapterHubReader.read(file)!.attach(model, new ops.Rng(1)).layouts!.adapterhub!;
    expect(layout.config()).toEqual({ config: file["config"], hidden_size: 4, model_type: "bert" });
    model.dispose();
  });

  it("chooses layers by its switches", async () => {
    const target = (changes: object): unknown => adapterHubReader.read(withInner(changes))!.options["target"];
    expect(await targets(target({ attn_matrices: ["k"], intermediate_lora: true, output_lora: true }))).toEqual(["attention.self.key", "intermediate.dense", "output.dense"]);
    expect(await targets(target({ selfattn_lora: false, output_lora: true }))).toEqual(["output.dense"]);
  });

  it("cannot hold every choice of layers", async () => {
    const model = await toyModel();
    const layouts = (target: string) => {
      const attachment = lora({ target }).attach(model, new ops.Rng(1));
      attachment.detach();
      return attachment.layouts!;
    };
    expect(layouts("query$").adapterhub).toBeDefined();
    expect(layouts(String.raw`layer\.0.*query$`).adapterhub).toBeUndefined();
    expect(layouts(String.raw`layer\.0.*query$`).peft!.config()["target_modules"]).toEqual(["toy.encoder.layer.0.attention.self.query"]);
    model.dispose();
  });

  it("is refused where it asks for another arithmetic", () => {
    for (const changes of [{ use_gating: true }, { composition_mode: "scale" }, { leave_out: [1] }, { attn_matrices: ["o"] }, { selfattn_lora: false }, { r: 0 }])
      expect(() => adapterHubReader.read(withInner(changes)), JSON.stringify(changes)).toThrow(expect.objectContaining({ code: "lora.config" }));
    expect(adapterHubReader.read(withInner({ architecture: "prefix_tuning" }))).toBeUndefined();
    expect(adapterHubReader.read({ config: "lora" })).toBeUndefined();
  });
});

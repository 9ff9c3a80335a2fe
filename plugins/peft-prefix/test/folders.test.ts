import { join } from "node:path";
import { ops } from "@deft-js/core";
import { attachFixture, demandClose, readFixtureAdapter } from "@deft-js/testkit";
import { describe, expect, it } from "vitest";
import { adapterHubReader, peftReader, prefix } from "../src/index.ts";
import { FIXTURES, goldenBert, goldenT5 } from "./goldens.ts";

const peft = (name: string) => readFixtureAdapter(join(FIXTURES, name), "adapter_model");
const hub = (name: string) => readFixtureAdapter(join(FIXTURES, name), "pytorch_adapter");
const bert = () => goldenBert("none");

describe("PEFT's adapter folders", () => {
  it.each([
    ["bert-prefix-peft", bert],
    ["bert-prefixproj-peft", bert],
    ["t5-prefix-peft", goldenT5],
  ] as const)("%s comes back as it was: every key of the configuration, every tensor", async (name, build) => {
    const { config, tensors } = peft(name);
    const model = await build();
    const attachment = attachFixture(model, peftReader, { config, tensors });
    const layout = attachment.layouts!.peft!;
    expect({ ...layout.config(), base_model_name_or_path: "base", task_type: config["task_type"] }).toEqual(config);
    expect(layout.write("default")).toEqual([...tensors.values()].filter((array) => !array.name.includes("classifier")));
    expect(attachment.method.options).toMatchObject({ virtualTokens: 5, compat: "peft" });
    expect(attachment.method.options["projectionSize"]).toBeUndefined();
    model.dispose();
  });

  it("hold what a projection makes, which comes back as a flat prefix of the same output; our own state keeps the MLP", async () => {
    const model = await bert();
    const projected = prefix({ virtualTokens: 3, projectionSize: 4, compat: "peft" }).attach(model, new ops.Rng(1));
    const layout = projected.layouts!.peft!;
    const batch = { size: 1, seq: 3, inputIds: ops.intTensor([5, 6, 7], [1, 3]), attentionMask: ops.ones([1, 3]) };
    const logits = () => ops.scope(() => ops.read(model.forward(batch).logits));
    const [expected, config, tensors, state] = [logits(), layout.config(), new Map(layout.write("x").map((array) => [array.name, array])), projected.state()];
    expect(config).toMatchObject({ prefix_projection: true, encoder_hidden_size: 4 });
    expect(() => layout.read(tensors, "x")).toThrow(expect.objectContaining({ code: "prefix.state" }));
    projected.detach();
    for (const method of [peftReader.read(config)!, layout.method!]) {
      const flat = method.attach(model, new ops.Rng(2));
      flat.layouts!.peft!.read(tensors, "x");
      demandClose({ name: "logits", actual: logits(), expected, tolerance: 1e-6, relativeTo: "max" });
      flat.detach();
    }
    const again = prefix({ virtualTokens: 3, projectionSize: 4, compat: "peft" }).attach(model, new ops.Rng(3));
    again.loadState(state);
    expect(logits()).toEqual(expected);
    model.dispose();
  });

  it("of a newer version keep what is not known, which is named; those of other methods are left alone", () => {
    const { config } = peft("bert-prefix-peft");
    const newer = { ...config, peft_version: "0.99", init_weights: null, some_switch: true };
    expect(peftReader.read(newer)!.options).toMatchObject({ kept: { peft: { some_switch: true } } });
    expect(peftReader.unknownKeys!(newer)).toEqual(["some_switch"]);
    expect(peftReader.read({ ...config, peft_type: "LORA" })).toBeUndefined();
    expect(() => peftReader.read({ ...config, num_virtual_tokens: null })).toThrow(expect.objectContaining({ code: "prefix.config" }));
  });
});

describe("AdapterHub's adapter folders", () => {
  it.each([
    ["bert-prefix-at", bert],
    ["bert-prefixflat-at", bert],
    ["t5-prefixflat-at", goldenT5],
  ] as const)("%s comes back as it was: every key of the configuration, every tensor in every copy", async (name, build) => {
    const { config, tensors } = hub(name);
    const model = await build();
    const layout = attachFixture(model, adapterHubReader, { config, tensors }).layouts!.adapterhub!;
    expect(layout.config()).toEqual({ config: config["config"], hidden_size: 32, model_type: config["model_type"] });
    const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
    expect([...layout.write("mytask")].sort(byName)).toEqual([...tensors.values()].sort(byName));
    model.dispose();
  });

  it("are refused when a copy differs or is one too many", async () => {
    const model = await bert();
    const { config, tensors } = hub("bert-prefixflat-at");
    const name = [...tensors.keys()].find((key) => key.includes("layer.1"))!;
    const read = (changes: Parameters<Map<string, never>["set"]>[]) => () => attachFixture(model, adapterHubReader, { config, tensors: new Map([...tensors, ...(changes as never[])]) });
    const other = { ...tensors.get(name)!, values: tensors.get(name)!.values.map((x) => x + 1) };
    expect(read([[name, other as never]])).toThrow(/copies of one prefix must be equal/);
    expect(read([[name.replace("self_prefix", "cross_prefix"), other as never]])).toThrow(expect.objectContaining({ code: "prefix.state" }));
    model.dispose();
  });

  it("are refused where they ask for another arithmetic, and left alone where they are another method's", () => {
    const { config } = hub("bert-prefixflat-at");
    const withInner = (changes: object) => ({ ...config, config: { ...(config["config"] as object), ...changes } });
    for (const changes of [{ use_gating: true }, { leave_out: [1] }, { non_linearity: "relu" }, { prefix_length: 0 }])
      expect(() => adapterHubReader.read(withInner(changes)), JSON.stringify(changes)).toThrow(expect.objectContaining({ code: "prefix.config" }));
    expect(adapterHubReader.read(withInner({ architecture: "lora" }))).toBeUndefined();
    expect(adapterHubReader.unknownKeys!(withInner({ dtype: "float32" }))).toEqual(["dtype"]);
    expect(adapterHubReader.read(withInner({ flat: false, bottleneck_size: 16 }))!.options).toMatchObject({ projectionSize: 16 });
  });
});

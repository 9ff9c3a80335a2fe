import { join } from "node:path";
import { ADAPTER_READER, evaluationContext, Kernel, ops, PEFT_METHOD, type EmbeddingInput, type EmbeddingOutput, type Model, type SitePoint, type Tokenizer } from "@deft-js/core";
import { gradientCheck, readFixtureAdapter, toyBatch, toyModel } from "@deft-js/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { peftReader, prompt, promptPlugin } from "../src/index.ts";
import { FIXTURES, goldenBert, goldenT5 } from "./goldens.ts";

const SIZES = { vocabulary: 5, dModel: 2, layers: 1 };

async function withToy(body: (model: Model) => void): Promise<void> {
  const model = await toyModel({ sizes: SIZES });
  try {
    body(model);
  } finally {
    model.dispose();
  }
}

/** What the embedding site gives for some input. */
function embedded(model: Model, input: Partial<EmbeddingInput> = {}): { hidden: number[]; mask: number[]; passed: EmbeddingInput } {
  const site = model.sites("embedding")[0] as SitePoint<"embedding">;
  return ops.scope(() => {
    let passed: EmbeddingInput | undefined;
    const words = (given: EmbeddingInput): EmbeddingOutput => {
      passed = given;
      const rows = given.prompt === undefined ? [] : [given.prompt];
      return { hidden: ops.concat([...rows, ops.tensor([7, 8], [1, 2])], 0), attentionMask: given.attentionMask };
    };
    const { hidden, attentionMask } = site.run({ inputIds: ops.intTensor([1], [1, 1]), attentionMask: ops.ones([1, 1]), ...input }, evaluationContext, words);
    return { hidden: [...ops.read(hidden)], mask: [...ops.read(attentionMask)], passed: passed as EmbeddingInput };
  });
}

function attach(model: Model, values: readonly number[], settings: Parameters<typeof prompt>[0] = {}) {
  const attachment = prompt({ virtualTokens: values.length / 2, ...settings }).attach(model, new ops.Rng(1));
  attachment.loadState(attachment.state().map((array) => ({ ...array, values: Float32Array.from(values) })));
  return attachment;
}

const tokenizer = { encode: (text: string) => ({ inputIds: [...text].map(Number), tokenTypeIds: [] }) } as unknown as Tokenizer;

describe("prompt", () => {
  it("puts its rows in front of the tokens', the earlier attached first, and nothing once keys of earlier positions are held", () =>
    withToy((model) => {
      const first = attach(model, [1, 2, 3, 4]);
      expect(embedded(model).hidden).toEqual([1, 2, 3, 4, 7, 8]);
      const second = attach(model, [5, 6]);
      expect(embedded(model).hidden).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
      expect(embedded(model, { past: 4 }).hidden).toEqual([7, 8]);
      first.detach();
      expect(embedded(model).hidden).toEqual([5, 6, 7, 8]);
      second.detach();
      expect(embedded(model).hidden).toEqual([7, 8]);
    }));

  it("starts as rows of the vocabulary, of a text's tokens repeated, or as N(0, 1)", () =>
    withToy((model) => {
      const table = model.parameters().get("toy.embeddings.weight")!.data();
      const row = (id: number) => [...table.subarray(2 * id, 2 * id + 2)];
      const start = (settings: Parameters<typeof prompt>[0], context = {}) => {
        const attachment = prompt(settings).attach(model, new ops.Rng(1), context);
        const [array] = attachment.state();
        attachment.detach();
        return array!;
      };
      const drawn = start({ virtualTokens: 4 });
      expect(drawn).toMatchObject({ name: "toy.embeddings.prompt", shape: [4, 2] });
      const rows = Array.from({ length: 5 }, (_, id) => row(id));
      for (let i = 0; i < 4; i++) expect(rows).toContainEqual([...drawn.values.subarray(2 * i, 2 * i + 2)]);
      expect([...start({ virtualTokens: 5, text: "31" }, { tokenizer }).values]).toEqual([3, 1, 3, 1, 3].flatMap(row));
      expect([...start({ virtualTokens: 1, text: "24" }, { tokenizer }).values]).toEqual(row(2));
      const random = start({ virtualTokens: 4000, init: "random" }).values;
      const deviation = Math.sqrt(random.reduce((sum, x) => sum + x * x, 0) / random.length);
      expect(deviation).toBeGreaterThan(0.97);
      expect(deviation).toBeLessThan(1.03);
    }));

  it("says what it misses", async () => {
    await withToy((model) => {
      const codeOf = (run: () => unknown): unknown => {
        try {
          return run();
        } catch (error) {
          return (error as { code?: string }).code;
        }
      };
      expect(codeOf(() => prompt({ text: "1" }).attach(model, new ops.Rng(1)))).toBe("prompt.init");
      expect(codeOf(() => prompt({ text: " " }).attach(model, new ops.Rng(1), { tokenizer: { encode: () => ({ inputIds: [], tokenTypeIds: [] }) } as unknown as Tokenizer }))).toBe("prompt.init");
      const silent = { ...model, family: "silent", sites: (kind: string) => (kind === "embedding" ? [{ path: "e", dIn: 5, dOut: 2, stack: "encoder" }] : []) } as unknown as Model;
      expect(codeOf(() => prompt().attach(silent, new ops.Rng(1)))).toBe("prompt.init");
      expect(codeOf(() => prompt().attach({ family: "bare", sites: () => [] } as unknown as Model, new ops.Rng(1)))).toBe("prompt.target");
    });
    for (const settings of [{ virtualTokens: 0 }, { virtualTokens: 1.5 }, { init: "text" }, { text: "" }, { compat: "peft-0.4" }, { tokens: 3 }])
      expect(() => prompt(settings as never), JSON.stringify(settings)).toThrow(expect.objectContaining({ code: "options.invalid" }));
  });

  it("has the gradient of central differences", async () => {
    const model = await toyModel();
    const batch = toyBatch();
    const { variables } = prompt({ virtualTokens: 3, init: "random" }).attach(model, new ops.Rng(1)); // no kink of ReLU within a step
    gradientCheck({ name: "prompt", f: () => model.loss(model.forward(batch), batch), variables, step: 1e-2, tolerance: 1e-3 });
    model.dispose();
  });

  it("is made by the kernel from a recipe's options, and takes any valid ones through JSON", () => {
    const kernel = new Kernel().use(promptPlugin);
    expect(kernel.create(PEFT_METHOD, "prompt", { virtualTokens: 4 }).options).toEqual(prompt({ virtualTokens: 4 }).options);
    expect(kernel.contributions(ADAPTER_READER).map(({ id }) => id)).toEqual(["prompt-peft"]);
    fc.assert(fc.property(fc.integer({ min: 1, max: 4096 }), fc.constantFrom("vocabulary", "random"), fc.option(fc.string({ minLength: 1 }), { nil: undefined }), (virtualTokens, init, text) => {
      const { options } = prompt({ virtualTokens, init, ...(text === undefined ? {} : { text }) } as never);
      expect(prompt(JSON.parse(JSON.stringify(options)) as never).options).toEqual(options);
    }));
  });
});

describe("prompt on an encoder-decoder", () => {
  it("stands in front of the encoder alone; PEFT's rows are twice as many, and 0.3 puts half of them in front of the decoder", async () => {
    const model = await goldenT5();
    const of = (compat?: "peft" | "peft-0.3") => {
      const attachment = prompt({ virtualTokens: 3, compat }).attach(model, new ops.Rng(1));
      const batch = { size: 1, seq: 2, inputIds: ops.intTensor([5, 1], [1, 2]), attentionMask: ops.ones([1, 2]), labels: ops.intTensor([7, 1], [1, 2]) };
      const { shape } = attachment.state()[0]!;
      const taps = ops.scope(() => model.forward(batch, { activations: true }).activations.map(({ stack, value }) => `${stack} ${value.shape[1]}`));
      attachment.detach();
      return { rows: shape[0], taps: [...new Set(taps)] };
    };
    expect(of()).toEqual({ rows: 3, taps: ["encoder 5", "decoder 2"] });
    expect(of("peft")).toEqual({ rows: 6, taps: ["encoder 5", "decoder 2"] });
    expect(of("peft-0.3")).toEqual({ rows: 6, taps: ["encoder 5", "decoder 5"] });
    model.dispose();
  });

  it("is written for PEFT with zeros in the half that it does not read", async () => {
    const model = await goldenT5();
    const attachment = prompt({ virtualTokens: 2, init: "random" }).attach(model, new ops.Rng(1));
    const [array] = attachment.layouts!.peft!.write("default");
    expect(array!.shape).toEqual([4, 32]);
    expect(array!.values.subarray(0, 64)).toEqual(attachment.state()[0]!.values);
    expect(array!.values.subarray(64).every((value) => value === 0)).toBe(true);
    expect(peftReader.read(attachment.layouts!.peft!.config())!.options).toMatchObject({ compat: "peft" });
    model.dispose();
  });
});

describe("PEFT's adapter folders", () => {
  const head = ["weight", "bias"].map((name) => ({ name: `classifier.${name}`, shape: name === "weight" ? [3, 32] : [3], values: new Float32Array(name === "weight" ? 96 : 3) }));

  it.each([
    ["bert-prompt-peft", () => goldenBert(head), "peft-0.3"],
    ["t5-prompt-peft", goldenT5, "peft-0.3"],
    ["t5-prompt-peft040", goldenT5, "peft"],
  ] as const)("%s comes back as it was: every key of the configuration, every tensor", async (name, build, compat) => {
    const { config, tensors } = readFixtureAdapter(join(FIXTURES, name), "adapter_model");
    const model = await build();
    const method = peftReader.read(config)!;
    expect(method.options).toMatchObject({ virtualTokens: 5, compat });
    const layout = method.attach(model, new ops.Rng(1)).layouts!.peft!;
    layout.read(tensors, "default");
    expect({ ...layout.config(), base_model_name_or_path: "base" }).toEqual(config);
    expect(layout.write("default")).toEqual([...tensors.values()].filter((array) => !array.name.includes("classifier")));
    model.dispose();
  });

  it("of a newer version keep what is not known, which is named; those of other methods are left alone", () => {
    const { config } = readFixtureAdapter(join(FIXTURES, "opt-prompt-peft"), "adapter_model");
    const newer = { ...config, peft_version: "0.99", auto_mapping: null, some_switch: true };
    expect(peftReader.read(newer)!.options).toMatchObject({ compat: "peft", kept: { peft: { some_switch: true, prompt_tuning_init: "RANDOM" } } });
    expect(peftReader.unknownKeys!(newer)).toEqual(["some_switch"]);
    expect(peftReader.read({ ...config, peft_type: "P_TUNING" })).toBeUndefined();
    expect(() => peftReader.read({ ...config, num_virtual_tokens: "5" })).toThrow(expect.objectContaining({ code: "prompt.config" }));
  });
});

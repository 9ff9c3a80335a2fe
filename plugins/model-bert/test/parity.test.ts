import { join } from "node:path";
import { ops, transposeMatrix, type ForwardResult, type Model } from "@deft-js/core";
import { describe, expect, it } from "vitest";
import { densityOf, difference, FIXTURES, goldenBatch, goldenModel, largest, readSafetensors } from "./goldens.ts";

const EPSILON = 1e-3;

/** Logits, loss, activations and hidden states against the reference's, at the tolerances of the fixtures. */
function checkForward(model: Model, folder: string, expected: ReadonlyMap<string, { values: Float32Array }>): void {
  ops.scope(() => {
    const batch = goldenBatch(folder);
    const result = model.forward(batch, { activations: true, hiddenStates: true });
    const compare = (name: string, value: ops.Tensor, relative = 1e-5) => {
      const want = expected.get(name)!.values;
      expect(difference(ops.read(value), want), name).toBeLessThanOrEqual(relative * largest(want));
    };
    compare("logits", result.logits);
    expect(Math.abs(ops.read(model.loss(result, batch))[0]! - expected.get("loss")!.values[0]!)).toBeLessThanOrEqual(2e-6 * Math.max(1, expected.get("loss")!.values[0]!));
    expect(result.activations.map((a) => a.layer)).toEqual([...expected.keys()].filter((n) => n.startsWith("mlp_act.")).map((n) => Number(n.split(".").at(-1))));
    for (const { layer, value } of result.activations) compare(`mlp_act.enc.${layer}`, value);
    for (const [i, value] of result.hiddenStates.entries()) if (expected.has(`hidden_states.enc.${i}`)) compare(`hidden_states.enc.${i}`, value);
    checkZeros(result, expected.get("density_count_nonzero.enc")!.values);
  });
}

/** Exact non-zeros per example and layer. */
function checkZeros(result: ForwardResult, expected: Float32Array): void {
  const { activations } = result;
  for (const [l, { value }] of activations.entries()) {
    const values = ops.read(value);
    const [batch = 0] = value.shape;
    const per = values.length / batch;
    for (let b = 0; b < batch; b++) {
      const nonZero = values.subarray(b * per, (b + 1) * per).reduce((n, v) => n + (v === 0 ? 0 : 1), 0);
      expect(Math.abs(nonZero / per - expected[b * activations.length + l]!) * per, `layer ${l}, example ${b}`).toBeLessThan(0.01);
    }
  }
}

/** Gradients of loss + density at ε = 1e-3 in file layout against the reference's. */
function checkGradients(model: Model, folder: string, variables: readonly ops.Variable[], grads: ReadonlyMap<string, { values: Float32Array }>, fileName = (path: string) => path): void {
  const most = Math.max(...variables.map((v) => largest(grads.get(fileName(v.path))!.values)));
  ops.scope(() => {
    const batch = goldenBatch(folder);
    const { gradients } = ops.valueAndGradients(() => {
      const result = model.forward(batch, { activations: true });
      return ops.add(model.loss(result, batch), densityOf(result, EPSILON));
    }, variables);
    for (const variable of variables) {
      const want = grads.get(fileName(variable.path))!.values;
      const got = ops.read(gradients.get(variable.path)!);
      const matrix = variable.path.endsWith(".weight") && variable.shape.length === 2 && !/embedding/.test(variable.path);
      const inFile = matrix ? transposeMatrix(got, variable.shape[0]!, variable.shape[1]!) : got;
      expect(difference(inFile, want), variable.path).toBeLessThanOrEqual(1e-4 * most);
    }
  });
}

describe.each(["bert-seqcls", "roberta-seqcls"])("%s", (name) => {
  const folder = join(FIXTURES, name);
  const expected = readSafetensors(join(folder, "expected.safetensors"));

  it("computes what the reference computes", async () => {
    const model = await goldenModel(folder);
    checkForward(model, folder, expected);
    model.dispose();
  });

  it("has the reference's gradient for every base parameter", async () => {
    const model = await goldenModel(folder);
    const grads = readSafetensors(join(folder, "grads.safetensors"));
    const variables = [...model.parameters().values()];
    for (const variable of variables) variable.trainable = true;
    expect(variables.map((v) => v.path).sort()).toEqual([...grads.keys()].sort());
    checkGradients(model, folder, variables, grads);
    model.dispose();
  });

  it("computes the same when every site is wrapped, so that no fused path is taken", async () => {
    const model = await goldenModel(folder);
    for (const kind of ["embedding", "linear", "attention", "residual", "activation", "mlp"] as const) for (const site of model.sites(kind)) site.wrap((x, base) => base(x) as never);
    checkForward(model, folder, expected);
    model.dispose();
  });
});

describe("bert-pfeiffer-at", () => {
  const folder = join(FIXTURES, "bert-pfeiffer-at");
  const trainable = readSafetensors(join(folder, "trainable.safetensors"));
  const isHead = (name: string) => name.startsWith("heads.");

  /** Pfeiffer's placement written down by hand: up(relu(down(LN(h + x)))) + h at the residual site after each MLP. */
  async function adapted(): Promise<{ model: Model; adapters: ops.Variable[] }> {
    const model = await goldenModel(folder, { head: "tanh-classification", headName: "mytask", more: [...trainable.values()].filter((t) => isHead(t.name)) });
    const adapters = [...trainable.values()]
      .filter((t) => !isHead(t.name))
      .map(({ name, shape, values }) => (shape.length === 2 ? ops.Variable.from(name, transposeMatrix(values, shape[0]!, shape[1]!), [...shape].reverse()) : ops.Variable.from(name, values, shape)));
    const value = (name: string) => adapters.find((v) => v.path === name)!.value;
    for (const site of model.sites("residual").filter((s) => s.role === "mlp")) {
      const path = `${site.path}.adapters.mytask`;
      site.wrap((input, base) => {
        const h = base(input);
        const z = input.normalize(ops.add(h, input.residual));
        const inner = ops.linear(z, value(`${path}.adapter_down.0.weight`), { bias: value(`${path}.adapter_down.0.bias`), activation: "relu" });
        return ops.add(ops.linear(inner, value(`${path}.adapter_up.weight`), { bias: value(`${path}.adapter_up.bias`) }), h);
      });
    }
    return { model, adapters };
  }

  it("computes what AdapterHub computes with its two-layer head and adapters at the residual sites", async () => {
    const { model } = await adapted();
    checkForward(model, folder, readSafetensors(join(folder, "expected.safetensors")));
  });

  it("has AdapterHub's gradients for head and adapters", async () => {
    const { model, adapters } = await adapted();
    expect(model.headParameters().map((v) => v.path)).toEqual([...trainable.keys()].filter(isHead));
    checkGradients(model, folder, [...adapters, ...model.headParameters()], readSafetensors(join(folder, "grads.safetensors")), (path) => `eps0.001/${path}`);
  });
});

describe("bert-prompt-peft", () => {
  const base = join(FIXTURES, "bert-pfeiffer-at"); // the same base and inputs
  const folder = join(FIXTURES, "bert-prompt-peft");
  const trainable = readSafetensors(join(folder, "trainable.safetensors"));
  const PROMPT = "prompt_encoder.default.embedding.weight";
  const trained = "base_model.classifier.modules_to_save.default";

  /** Prompt tuning written down by hand: five rows handed to the embedding site. */
  async function prompted(): Promise<{ model: Model; prompt: ops.Variable }> {
    const classifier = ["weight", "bias"].map((n) => ({ ...trainable.get(`${trained}.${n}`)!, name: `classifier.${n}` }));
    const model = await goldenModel(base, { more: classifier });
    const prompt = ops.Variable.from(PROMPT, trainable.get(PROMPT)!.values, trainable.get(PROMPT)!.shape);
    for (const site of model.sites("embedding")) site.wrap((input, embed) => embed({ ...input, prompt: prompt.value }));
    return { model, prompt };
  }

  it("computes what HF PEFT computes with rows in front of the embeddings", async () => {
    const { model } = await prompted();
    checkForward(model, base, readSafetensors(join(folder, "expected.safetensors")));
  });

  it("has HF PEFT's gradients for prompt and classifier", async () => {
    const { model, prompt } = await prompted();
    const grads = readSafetensors(join(folder, "grads.safetensors"));
    checkGradients(model, base, [prompt, ...model.headParameters()], grads, (path) => `eps0.001/${path.replace("classifier", trained)}`);
  });

  it("taps a mask that counts the prompt's rows as positions", async () => {
    const { model } = await prompted();
    ops.scope(() => {
      const batch = goldenBatch(base);
      const [tap] = model.forward(batch, { activations: true }).activations;
      expect(tap!.mask.shape).toEqual(tap!.value.shape.slice(0, 2));
      const mask = ops.read(tap!.mask);
      const given = ops.read(batch.attentionMask);
      for (let b = 0; b < batch.size; b++) expect([...mask.subarray(b * 19, b * 19 + 19)]).toEqual([1, 1, 1, 1, 1, ...given.subarray(b * 14, b * 14 + 14)]);
    });
  });
});

import { join } from "node:path";
import { batchTensors, type Artifact, type Attachment, type Kernel } from "@deft-js/core";
import { readAdapterFolder } from "@deft-js/checkpoint";
import prefixPlugin, { prefix } from "@deft-js/plugin-peft-prefix";
import promptPlugin, { prompt } from "@deft-js/plugin-peft-prompt";
import { createKernel, loadModel } from "@deft-js/run";
import { read, Rng, scope } from "@deft-js/tensor";
import { beforeAll, describe, expect, it } from "vitest";
import { saveAdapters } from "../src/adapter/save.ts";
import { tempFolder, writeTinyModel } from "./support/tiny.ts";
import { makeWorld, PLUGINS } from "./support/world.ts";

const TEXT = "the film was good";
const host = { size: 2, seq: 3, inputIds: Int32Array.of(2, 6, 3, 2, 9, 3), attentionMask: Float32Array.of(1, 1, 1, 1, 1, 1) };
let kernel: Kernel;
let base: string;

beforeAll(async () => {
  kernel = await createKernel({ plugins: [...PLUGINS, promptPlugin, prefixPlugin], discover: false });
  base = await writeTinyModel(join(tempFolder(), "tiny"), kernel);
});

const load = (adapter?: string): Promise<Artifact> => loadModel(base, { kernel, head: "sequence-classification", labels: 2, adapter });
const logits = ({ model }: Artifact): Float32Array => scope(() => read(model.forward(batchTensors(host)).logits));

/** Attaches to a new model, saves for PEFT, and loads what was saved. */
async function saved(attach: (artifact: Artifact) => Attachment) {
  const artifact = await load();
  const attachment = attach(artifact);
  const folder = join(tempFolder(), "adapter");
  await saveAdapters(folder, { ...artifact, attachments: [attachment] }, { layout: "peft" });
  return { before: logits(artifact), attachment, files: await readAdapterFolder(folder), again: await load(folder) };
}

describe("prompt and prefix tuning in a run", () => {
  it("start from a text by the model's tokenizer, and say so in a recipe", async () => {
    const { before, attachment, files, again } = await saved(({ model, tokenizer }) => prompt({ virtualTokens: 7, text: TEXT }).attach(model, new Rng(1), { tokenizer }));
    expect(attachment.variables[0]?.shape).toEqual([7, 16]);
    expect([...files.tensors.keys()].sort()).toEqual(["base_model.bert.pooler.dense.bias", "base_model.bert.pooler.dense.weight", "base_model.classifier.bias", "base_model.classifier.weight", "prompt_embeddings"]);
    expect(files.config).toMatchObject({ peft_type: "PROMPT_TUNING", task_type: "SEQ_CLS", num_virtual_tokens: 7, token_dim: 16, num_layers: 2, num_attention_heads: 2, num_transformer_submodules: 1, modules_to_save: ["classifier", "pooler"] });
    expect(logits(again)).toEqual(before);
    const table = again.model.parameters().get("bert.embeddings.word_embeddings.weight")!.data();
    const { inputIds } = again.tokenizer.encode(TEXT, undefined, 100);
    const rows = attachment.state()[0]!.values;
    for (let i = 0; i < 7; i++) expect([...rows.subarray(16 * i, 16 * i + 16)]).toEqual([...table.subarray(16 * inputIds[i % inputIds.length]!, 16 * inputIds[i % inputIds.length]! + 16)]);
  });

  it("train from a recipe", async () => {
    const world = await makeWorld({ rows: 8 });
    const [first] = world.content["stages"] as [{ finetune: Record<string, unknown> }];
    Object.assign(first.finetune, { peft: [{ prompt: { virtualTokens: 3, text: TEXT } }, { prefix: { virtualTokens: 2, compat: "peft", projectionSize: 3 } }], epochs: 1 });
    const { folder } = await world.run({ plugins: [...PLUGINS, promptPlugin, prefixPlugin] });
    const trained = await loadModel(world.path("tiny"), { kernel, adapter: join(folder, "adapter") });
    expect(trained.attachments.map(({ method }) => method.id)).toEqual(["prompt", "prefix"]);
  });

  it("are saved for PEFT without a prefix's projection, and come back flat", async () => {
    const { before, files, again } = await saved(({ model }) => prefix({ virtualTokens: 2, projectionSize: 3, compat: "peft" }).attach(model, new Rng(1)));
    expect(files.config).toMatchObject({ peft_type: "PREFIX_TUNING", prefix_projection: true, encoder_hidden_size: 3 });
    expect(again.attachments[0]?.method.options).not.toHaveProperty("projectionSize");
    for (const [i, value] of logits(again).entries()) expect(value).toBeCloseTo(before[i]!, 5);
  });
});

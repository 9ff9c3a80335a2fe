import { readAdapterFolder } from "@deft-js/checkpoint";
import { ADAPTER_READER, MODEL_FAMILY, ops, WEIGHT_FORMAT, type Attachment, type BuildOptions, type HeadKind, type Kernel, type Model, type ModelConfig, type PeftMethod } from "@deft-js/core";
import { projectedInMemory, projectedPrefix } from "./prompt-encoder.ts";
import { arrays, has, json, sourceOf, type Arrays } from "./fixture.ts";

/** A fixture's model with what is attached to it. */
export interface Built {
  readonly model: Model;
  readonly attachment?: Attachment | undefined;
  /** A map from our variables' values to the peer's names and layout. */
  inPeerLayout(valuesByPath: ReadonlyMap<string, Float32Array>): Map<string, Float32Array>;
}

/** The fixture needs a family, head or method that is not there. */
export class Unsupported extends Error {}

/** The name under which the peers saved the adapter and its head. */
const ADAPTER_NAME = "mytask";

/** How PEFT names parameters in memory, brought to how it saves them. */
export const savedName = (name: string): string =>
  name.replace(/\.(lora_[AB])\.default\./, ".$1.").replace("modules_to_save.default.", "").replace(/^base_model\.(?:model\.)?(?=classifier)/, "").replace("prompt_encoder.default.embedding.weight", "prompt_embeddings");

/** Builds the model of a folder, with a new method or with the folder's adapter. */
export async function build(folder: string, kernel: Kernel, method?: { method: PeftMethod; tensors: Arrays }): Promise<Built> {
  const config = await json<ModelConfig>(folder, "config.json");
  const base = await arrays(folder, "model.safetensors");
  const adapter = has(folder, "adapter/adapter_config.json") ? await readAdapterFolder(`${folder}/adapter`) : undefined;
  const projected = adapter === undefined ? undefined : projectedPrefix(kernel, adapter.config);
  const given = projected === undefined ? (adapter?.tensors ?? method?.tensors ?? []) : await arrays(folder, "trainable.safetensors");
  const tensors = new Map([...given].filter(([name]) => !name.includes(".original_module.")).map(([name, t]) => [savedName(name), { ...t, name: savedName(name) }]));
  const head = new Map([...(adapter?.head?.tensors ?? []), ...tensors].filter(([name]) => /^(heads|classifier)\./.test(name)));
  const model = await buildModel(kernel, config, base, head, await quantizedWeights(folder, kernel));
  const configured = projected ?? method?.method ?? (adapter === undefined ? undefined : readMethod(kernel, adapter.layout, adapter.config));
  if (configured === undefined) return { model, inPeerLayout: (v) => exported(model, v) };
  const attachment = configured.attach(model, new ops.Rng(0));
  const layout = projected === undefined ? attachment.layouts?.[adapter?.layout ?? "adapterhub"] : projectedInMemory(attachment);
  if (layout === undefined) throw new Unsupported(`${configured.id} has no ${adapter?.layout ?? "adapterhub"} layout`);
  layout.read(new Map([...tensors].filter(([name]) => !head.has(name))), ADAPTER_NAME);
  return {
    model,
    attachment,
    inPeerLayout(v) {
      const written = swapped(attachment.variables, v, () => layout.write(ADAPTER_NAME).map((t) => [savedName(t.name), t.values] as const));
      return new Map([...written, ...exported(model, v)]);
    },
  };
}

/** The weights that a fixture's forward pass used in NF4, doubly quantized; none where it says nothing of it. */
async function quantizedWeights(folder: string, kernel: Kernel): Promise<NonNullable<BuildOptions["weightFormat"]> | undefined> {
  const { notes } = await json<{ notes?: { quantized_weights?: readonly string[] } | string }>(folder, "expected.json");
  const names = new Set(typeof notes === "object" ? notes.quantized_weights : []);
  if (names.size === 0) return undefined;
  if (!kernel.contributions(WEIGHT_FORMAT).some(({ id }) => id === "nf4")) throw new Unsupported("no plugin brings the weight format nf4");
  const format = kernel.create(WEIGHT_FORMAT, "nf4");
  return (path) => (names.has(`${path}.weight`) ? format : undefined);
}

async function buildModel(kernel: Kernel, config: ModelConfig, base: Arrays, head: Arrays, weightFormat: BuildOptions["weightFormat"]): Promise<Model> {
  const family = kernel.contributions(MODEL_FAMILY).map((c) => kernel.create(MODEL_FAMILY, c.id)).find((f) => f.modelTypes.includes(String(config["model_type"])));
  if (family === undefined) throw new Unsupported(`model_type ${String(config["model_type"])} has no plugin`);
  const flexible = [...head.keys()].some((name) => name.startsWith("heads."));
  const architecture = String((config["architectures"] as string[] | null)?.[0] ?? "");
  const kind = flexible ? "tanh-classification" : headOf(architecture, String(config["model_type"]));
  const labels = Object.keys((config["id2label"] as object | undefined) ?? {}).length;
  return family.build({ config, head: kind, labels, source: sourceOf(base, head), rng: new ops.Rng(0), headName: ADAPTER_NAME, weightFormat });
}

/** The head of an `architectures` entry; the fixtures' generating models have one where the entry is missing, too. */
function headOf(architecture: string, modelType: string): HeadKind {
  if (/SequenceClassification|AdapterModel/.test(architecture)) return "sequence-classification";
  return /ConditionalGeneration|CausalLM/.test(architecture) || ["t5", "opt"].includes(modelType) ? "language-model" : "none";
}

function readMethod(kernel: Kernel, layout: "peft" | "adapterhub", config: Readonly<Record<string, unknown>>): PeftMethod {
  const readers = kernel.contributions(ADAPTER_READER).map((c) => kernel.create(ADAPTER_READER, c.id)).filter((r) => r.layout === layout);
  for (const reader of readers) {
    const method = reader.read(config);
    if (method !== undefined) return method;
  }
  throw new Unsupported(`no plugin reads this ${layout} configuration`);
}

/** Runs `body` while the variables hold other values, then puts theirs back. */
function swapped<T>(variables: Iterable<ops.Variable>, v: ReadonlyMap<string, Float32Array>, body: () => T): T {
  const held = [...variables].filter((variable) => v.has(variable.path)).map((variable) => ({ variable, data: variable.data() }));
  for (const { variable } of held) variable.load(v.get(variable.path) as Float32Array);
  try {
    return body();
  } finally {
    for (const { variable, data } of held) variable.load(data);
  }
}

/** The model's own parameters among the values, under their Hugging Face names and in file layout. */
function exported(model: Model, v: ReadonlyMap<string, Float32Array>): Map<string, Float32Array> {
  const named = new Map([...model.parameters()].filter(([, variable]) => v.has(variable.path)));
  return swapped(named.values(), v, () => new Map([...model.exportParameters()].filter((t) => named.has(t.name)).map((t) => [t.name, t.values])));
}

import { existsSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { DeftError, WEIGHT_LAYOUT, type Artifact, type Kernel, type Model, type ModelConfig, type StoredTensor, type Weight, type WeightLayout } from "@deft-js/core";
import { COMPANIONS, writeModelFolder, type WritableTensor } from "@deft-js/checkpoint";
import type { MergeInto } from "./merge.ts";

/** Linear modules that share the embeddings' matrix, and so have no tensor of their own. */
const TIED_OUTPUTS = ["lm_head", "cls.predictions.decoder"];

/** How a model folder is written. */
export interface SaveModelOptions {
  /** Brings the layouts of weights that are not dense. */
  readonly kernel?: Kernel | undefined;
  /** `held`: such weights stay in their format where a layout has a place for it; `dense`: all as float32. `held` when left out. */
  readonly base?: MergeInto | undefined;
  /** The classes' names, for config.json; those of the artifact's training when left out, and the model's own where nothing is known of it. */
  readonly labels?: readonly string[] | undefined;
}

/** Writes the model as a Hugging Face folder with its tokenizer's files. What is attached must have been merged. Throws `export.attached`, `export.source` for the folder that the model comes from, `checkpoint.*`. */
export async function saveModel(path: string, { model, source, attachments, training }: Artifact, { kernel, base = "held", labels = training?.labels ?? [] }: SaveModelOptions = {}): Promise<void> {
  if (attachments.length > 0) throw new DeftError("export.attached", `export: a model folder holds no ${attachments.map(({ method }) => method.id).join(", ")}, got it attached. Merge it first.`);
  refuseSource(path, source);
  const layouts = base === "dense" || kernel === undefined ? [] : kernel.contributions(WEIGHT_LAYOUT).map(({ id }) => kernel.create(WEIGHT_LAYOUT, id));
  const { tensors, keys } = heldTensors(model, layouts);
  await writeModelFolder(path, { config: { ...model.config, ...storedType(model.config), ...(model.head.endsWith("-classification") ? labelKeys(labels) : {}), ...keys }, tensors, copy: tokenizerFiles(source) });
}

/** The base is not written over: adapters name it, and what it holds besides (another head) would be lost. */
function refuseSource(path: string, source: string | undefined): void {
  if (source === undefined || !existsSync(path) || !existsSync(source) || realpathSync(path) !== realpathSync(source)) return;
  throw new DeftError("export.source", `export: the folder must be another than the model's own, got ${path}. Choose another.`);
}

/** The files hold float32, whatever the base was stored in: transformers' `torch_dtype="auto"` goes by this key. */
function storedType(config: ModelConfig): Readonly<Record<string, unknown>> {
  return Object.fromEntries(["torch_dtype", "dtype"].filter((key) => typeof config[key] === "string").map((key) => [key, "float32"]));
}

function labelKeys(labels: readonly string[]): Readonly<Record<string, unknown>> {
  if (labels.length === 0) return {};
  return { id2label: Object.fromEntries(labels.map((label, i) => [i, label])), label2id: Object.fromEntries(labels.map((label, i) => [label, i])) };
}

/** The model's tensors, those of weights that a layout has a place for in that layout, and what config.json says of them. */
function heldTensors(model: Model, layouts: readonly WeightLayout[]): { tensors: readonly WritableTensor[]; keys: Readonly<Record<string, unknown>> } {
  const weights = new Map(model.sites("linear").flatMap(({ path, weight }) => (weight === undefined ? [] : [[path, weight] as const])));
  const exported = [...model.exportParameters()];
  /** Of every module with a matrix, heads and embeddings among them: what is not in the layout must be named as dense, or transformers would put it into the format. */
  const matrices = exported.flatMap(({ name, shape }) => (shape.length === 2 && name.endsWith(".weight") ? [name.slice(0, -".weight".length)] : []));
  const stored = new Map<string, readonly StoredTensor[]>();
  const keys: Record<string, unknown> = {};
  for (const layout of layouts) {
    const written = new Map<string, Weight>();
    for (const [path, weight] of weights) {
      const tensors = stored.has(path) ? undefined : layout.write(path, weight);
      if (tensors === undefined) continue;
      stored.set(path, tensors);
      written.set(path, weight);
    }
    if (written.size > 0) Object.assign(keys, layout.describe(written, [...matrices.filter((path) => !written.has(path)), ...TIED_OUTPUTS]));
  }
  const tensors = exported.flatMap((array): readonly WritableTensor[] => stored.get(array.name.replace(/\.weight$/, "")) ?? [array]);
  return { tensors, keys };
}

/** The files that go along, where they are, by the names that they get: those beside the model, or the tokenizer's that was named, whatever it is called. */
function tokenizerFiles(source: string | undefined): Readonly<Record<string, string>> {
  if (source === undefined) return {};
  const isFile = statSync(source, { throwIfNoEntry: false })?.isFile() === true;
  const found = isFile ? [["tokenizer.json", source], ["tokenizer_config.json", join(source, "..", "tokenizer_config.json")]] : COMPANIONS.map((name) => [name, join(source, name)]);
  return Object.fromEntries(found.filter(([, file]) => existsSync(file as string)));
}

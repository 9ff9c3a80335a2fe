import { readFile, stat } from "node:fs/promises";
import { emitWarning } from "node:process";
import { DeftError, MODEL_FAMILY, WEIGHT_FORMAT, WEIGHT_LAYOUT, type Artifact, type HeadKind, type Kernel, type ModelConfig, type ModelFamily, type TensorSource, type Tokenizer, type TrainingRecord, type WeightFormat } from "@deft-js/core";
import { openModelFolder, resolveModel, type ModelFolder } from "@deft-js/checkpoint";
import { loadTokenizer } from "@deft-js/data";
import { Rng } from "@deft-js/tensor";
import { readAdapters, type ReadAdapter } from "../adapter/read.ts";
import { packageHint } from "../kernel/packages.ts";
import { compareFingerprint } from "./fingerprint.ts";
import { denseSource, finiteSource, overlaySource } from "./finite.ts";

/** How a model is loaded. */
export interface LoadModelOptions {
  /** Brings the model families and methods. */
  readonly kernel: Kernel;
  /** What the head computes; the adapter's, or the one that config.json names, when left out. */
  readonly head?: HeadKind | undefined;
  /** Number of labels of a classification head; the adapter's or config.json's when left out. */
  readonly labels?: number | undefined;
  /** An adapter folder of this toolkit, HF PEFT or AdapterHub, to be attached. */
  readonly adapter?: string | undefined;
  /** `ignore`: the blocks that the adapter's plan skips are read and run. `follow` when left out. */
  readonly plan?: "follow" | "ignore" | undefined;
  readonly revision?: string | undefined;
  readonly offline?: boolean | undefined;
  /**
   * How the linear layers that it accepts are held: in a format, encoded one by one as they are read, so that the peak stays near the size in that format; `dense`: all as float32,
   * decoded where the folder holds them otherwise; `held`: as the folder holds them. As the adapter was trained over them, or as the folder holds them, when left out.
   */
  readonly weights?: WeightFormat | "dense" | "held" | undefined;
  /** Of a new head's values; 42 when left out. */
  readonly seed?: number | undefined;
  /** Takes what is odd about the files but no error; a warning of the process when left out. */
  readonly warn?: ((message: string) => void) | undefined;
}

/** How a new model is made. */
export interface InitModelOptions {
  readonly kernel: Kernel;
  /** config.json: its content, or its path. */
  readonly config: ModelConfig | string;
  /** tokenizer.json, or a folder that holds it. */
  readonly tokenizer: string;
  /** `masked-language-model` when left out. */
  readonly head?: HeadKind | undefined;
  readonly labels?: number | undefined;
  readonly seed?: number | undefined;
}

/** A model folder, open, of which nothing but headers was read: what a run knows before it starts. */
export interface OpenedModel {
  readonly folder: string;
  readonly tokenizer: Tokenizer;
  /** The head that config.json names. */
  readonly declaredHead: HeadKind;
  /** Builds the model. */
  build(options: { head?: HeadKind | undefined; labels?: number | undefined }): Promise<Artifact>;
}

/**
 * Loads a model with its tokenizer, from a Hugging Face folder or the hub, and attaches an adapter when one is named.
 * @throws DeftError `checkpoint.*` (`checkpoint.nonfinite` for NaN in the weights), `safetensors.*`, `hub.*`, `tokenizer.*`, `model.*`, `plugin.unknown`
 */
export async function loadModel(path: string, options: LoadModelOptions): Promise<Artifact> {
  return (await openModel(path, options)).build(options);
}

/** Opens a model folder and its tokenizer, and an adapter folder where one is named; builds nothing yet. */
export async function openModel(path: string, { kernel, adapter, plan, revision, offline, weights, seed = 42, warn = emitWarning }: LoadModelOptions): Promise<OpenedModel> {
  const folder = await resolveModel(path, { revision, offline });
  const { config, source } = await openLayout(kernel, await openModelFolder(folder), folder);
  const family = familyOf(kernel, config, path);
  const adapters = adapter === undefined ? [] : await readAdapters(adapter, kernel, { plan });
  for (const { path: from, unknownKeys } of adapters) if (unknownKeys.length > 0) warn(`${from}: adapter_config.json has keys that are kept but not known: ${unknownKeys.join(", ")}`);
  const tokenizer = await loadTokenizer(folder);
  demandVocabulary(config, tokenizer, { who: folder, remedy: "Take the added tokens out of tokenizer.json, or resize the model's embeddings" });
  const build: OpenedModel["build"] = async ({ head, labels }) => {
    const kind = head ?? adapters.map(({ headKind }) => headKind).find((known) => known !== undefined) ?? declaredHead(config);
    const asked = weights === undefined && source.weight === undefined ? trainedOver(kernel, adapters) : weights;
    const format = typeof asked === "object" ? asked : undefined;
    const trained = (name: string): boolean => adapters.some((one) => one.head.has(name));
    const weightFormat = (path: string): WeightFormat | undefined => (format?.accepts?.(path) === false || trained(`${path}.weight`) ? undefined : format);
    const absent = (path: string): boolean => adapters.some(({ method }) => method?.absent?.(path) === true);
    const model = await family.build({ config, weightFormat, absent, trained, head: kind, labels: labels ?? adapters.map((one) => one.labels).find((known) => known !== undefined), source: withHeads(finiteSource(weights === "dense" ? denseSource(source) : source, folder), adapters), rng: new Rng(seed).fork("model"), headName: headName(adapters) });
    const rng = new Rng(seed).fork("adapter");
    const attachments = adapters.flatMap((one, i) => one.attach(model, rng.fork(String(i)), { tokenizer }) ?? []);
    const [first] = adapters;
    // weights that are asked for in another format are others by intent
    if (first?.record?.fingerprint !== undefined && weights === undefined) warnOfAnotherBase(first.path, compareFingerprint({ model, attachments }, first.record.fingerprint), warn);
    return { model, tokenizer, source: folder, attachments, training: trainingOf(adapters), metrics: {} };
  };
  return { folder, tokenizer, declaredHead: declaredHead(config), build };
}

/** What the adapters tell of their training: the first one's record, which holds the head, or the names that another library's head has. */
function trainingOf(adapters: readonly ReadAdapter[]): TrainingRecord | undefined {
  const [record] = adapters.flatMap((one) => one.record ?? []);
  const labels = adapters.map(({ labelNames }) => labelNames).find((names) => names.length > 0) ?? [];
  return record === undefined && labels.length === 0 ? undefined : { labels, task: record?.task, losses: record?.losses };
}

/** A model of a configuration, initialised at random. Throws `checkpoint.config`, `model.*`, `tokenizer.*`, `plugin.unknown`. */
export async function initModel(options: InitModelOptions): Promise<Artifact> {
  const { kernel, tokenizer: tokenizerPath, head = "masked-language-model", labels, seed = 42 } = options;
  const tokenizer = await loadTokenizer(tokenizerPath);
  const config = withVocabulary(typeof options.config === "string" ? await readConfig(options.config) : options.config, tokenizer);
  const model = await familyOf(kernel, config, "model.init").build({ config, head, labels, rng: new Rng(seed).fork("model") });
  return { model, tokenizer, source: tokenizerPath, attachments: [], metrics: {} };
}

/** The folder's weights and configuration; what is held in a layout other than the plain one, through the plugin that knows it. */
async function openLayout(kernel: Kernel, { config, source }: ModelFolder, who: string): Promise<Pick<ModelFolder, "config" | "source">> {
  for (const { id } of kernel.contributions(WEIGHT_LAYOUT)) {
    const opened = await kernel.create(WEIGHT_LAYOUT, id).open(config, source);
    if (opened !== undefined) return opened;
  }
  const quantized = config["quantization_config"] as { quant_method?: unknown } | null | undefined;
  if (quantized === undefined || quantized === null) return { config, source };
  throw new DeftError("plugin.unknown", `${who}: some plugin must read weights quantized by ${String(quantized.quant_method)}, got none that does. To bring one, ${packageHint("weight-layout", String(quantized.quant_method))}.`);
}

/** An adapter over other weights than in training computes something, but not what it was trained to. */
function warnOfAnotherBase(adapter: string, { differing, compared }: ReturnType<typeof compareFingerprint>, warn: (message: string) => void): void {
  if (differing.length === 0) return;
  const some = differing.slice(0, 3).join(", ") + (differing.length > 3 ? ", …" : "");
  warn(`${adapter}: the base should hold the values that the adapter was trained over, got others in ${differing.length} of ${compared} parameters (${some}). Name the base that it was trained over.`);
}

/** The format that the adapters were trained over, where one says so. */
function trainedOver(kernel: Kernel, adapters: readonly ReadAdapter[]): WeightFormat | undefined {
  const told = adapters.map(({ record }) => record?.weights).find((weights) => weights !== undefined);
  return told === undefined ? undefined : kernel.create(WEIGHT_FORMAT, told.id, told.options);
}

function withHeads(source: TensorSource, adapters: readonly ReadAdapter[]): TensorSource {
  return adapters.reduce((under, { head }) => (head.size === 0 ? under : overlaySource(under, head)), source);
}

function headName(adapters: readonly ReadAdapter[]): string | undefined {
  for (const { head } of adapters) for (const name of head.keys()) if (name.startsWith("heads.")) return name.split(".")[1];
  return undefined;
}

function familyOf(kernel: Kernel, config: ModelConfig, who: string): ModelFamily {
  const type = String(config["model_type"]);
  for (const { id } of kernel.contributions(MODEL_FAMILY)) {
    const family = kernel.create(MODEL_FAMILY, id);
    if (family.modelTypes.includes(type)) return family;
  }
  throw new DeftError("plugin.unknown", `${who}: some plugin must build models of type ${type}, got none that does. To bring one, ${packageHint("model-family", type)}.`);
}

/** The head that config.json's `architectures` names. */
function declaredHead({ architectures }: ModelConfig): HeadKind {
  const name = Array.isArray(architectures) ? String(architectures[0]) : "";
  if (name.endsWith("ForSequenceClassification")) return "sequence-classification";
  if (name.endsWith("ForMaskedLM")) return "masked-language-model";
  return /For(?:CausalLM|ConditionalGeneration)$/.test(name) ? "language-model" : "none";
}

async function readConfig(path: string): Promise<ModelConfig> {
  const entry = await stat(path).catch(() => undefined);
  if (entry?.isFile() !== true || entry.size > 1 << 20) throw new DeftError("checkpoint.config", `${path}: must be a config.json, got ${entry === undefined ? "nothing there" : "something else"}. Check the path.`);
  try {
    return JSON.parse(await readFile(path, "utf8")) as ModelConfig;
  } catch (cause) {
    throw new DeftError("checkpoint.config", `${path}: must be JSON, got ${(cause as Error).message}. Correct it.`, { cause });
  }
}

/** Throws `checkpoint.config` where the tokenizer gives ids that the embeddings have no row for. */
function demandVocabulary(config: ModelConfig, { vocabularySize }: Tokenizer, { who, remedy }: { readonly who: string; readonly remedy: string }): void {
  const rows = config["vocab_size"];
  if (typeof rows === "number" && rows < vocabularySize) throw new DeftError("checkpoint.config", `${who}: vocab_size must hold the tokenizer's ${vocabularySize} tokens, got ${rows}. ${remedy}.`);
}

/** The tokenizer's vocabulary size where the configuration names none; refuses one that is too small. */
function withVocabulary(config: ModelConfig, tokenizer: Tokenizer): ModelConfig {
  demandVocabulary(config, tokenizer, { who: "model.init", remedy: "Raise it or leave it out" });
  return { ...config, vocab_size: config["vocab_size"] ?? tokenizer.vocabularySize };
}

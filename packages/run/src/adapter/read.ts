import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { ADAPTER_READER, DeftError, PEFT_METHOD, type AttachContext, type HeadKind, type Kernel, type Model, type NamedArray, type PeftMethod, type Attachment } from "@deft-js/core";
import { currentFolder, readAdapterFolder, readJsonObject, readParameters } from "@deft-js/checkpoint";
import type { Rng } from "@deft-js/tensor";
import { formatKey, formatsOf } from "../model/encodings.ts";
import { alike } from "../model/fingerprint.ts";
import { checkFinite } from "../model/finite.ts";
import { isObject } from "../recipe/parse.ts";
import { adapterRecord, HEAD_FILE, RECORD_FILE, STATE_FILE, type AdapterLayoutId, type AdapterRecord, type RecordedFormat } from "./record.ts";

/** An adapter folder, read: its method and what is needed to attach it. */
export interface ReadAdapter {
  readonly path: string;
  readonly layout: AdapterLayoutId;
  readonly method?: PeftMethod | undefined;
  readonly record?: AdapterRecord | undefined;
  /** Where the base model lay, as the folder says. */
  readonly base?: string | undefined;
  /** The adapter's name in AdapterHub's keys, where the folder tells. */
  readonly name?: string | undefined;
  /** The adapter's own tensors as the files hold them, the head's left out. */
  readonly tensors: ReadonlyMap<string, NamedArray>;
  /** Keys of the other library's configuration that nobody here knows: kept, and to be warned about. */
  readonly unknownKeys: readonly string[];
  /** The trained head under Hugging Face names. */
  readonly head: ReadonlyMap<string, NamedArray>;
  /** What the head computes, where the folder tells. */
  readonly headKind?: HeadKind | undefined;
  readonly labels?: number | undefined;
  /** The classes' names by index, where the folder tells; empty elsewhere. */
  readonly labelNames: readonly string[];
  /** Attaches the method and loads its values. */
  attach(model: Model, rng: Rng, context?: AttachContext): Attachment | undefined;
}

/** A head's own parameters among an adapter's tensors, by their place in the model; what a method has beside them (`pooler.dense.lora_A.weight`) is none. */
const HEAD_NAME = /^(?:classifier|score|qa_outputs|heads\.[^.]+|(?:\w+\.)?pooler)\.(?:(?:dense|out_proj|\d+)\.)?(?:weight|bias)$/;

/** How adapters are read. */
export interface ReadOptions {
  /** `ignore`: what a method's plan passes over is run and read all the same. `follow` when left out. */
  readonly plan?: "follow" | "ignore" | undefined;
}

/**
 * Reads a folder of adapters: written by this toolkit, by HF PEFT or by AdapterHub; several lie in subfolders in the order of their names, numbers in them by value.
 * @throws DeftError `checkpoint.missing`, `checkpoint.config`, `checkpoint.layout`, `checkpoint.nonfinite`, `plugin.unknown` for a method that no plugin reads; attaching throws
 * `checkpoint.weights` over a base that does not hold its weights as in training, `checkpoint.unexpected` for tensors that are neither the method's nor the head's
 */
export async function readAdapters(path: string, kernel: Kernel, options: ReadOptions = {}): Promise<readonly ReadAdapter[]> {
  const all: ReadAdapter[] = [];
  for (const one of await adapterFolders(path)) all.push(await readAdapter(one, kernel, options));
  return all;
}

/** What deft.json says of the adapters in a folder, in the same order; nothing of those without one. Throws `checkpoint.missing`, `checkpoint.config`. */
export async function readRecords(path: string): Promise<readonly AdapterRecord[]> {
  const files = (await adapterFolders(path)).map((folder) => join(folder, RECORD_FILE)).filter((file) => existsSync(file));
  return Promise.all(files.map(async (file) => adapterRecord(await readJsonObject(file, { code: "checkpoint.config" }), file)));
}

async function adapterFolders(path: string): Promise<readonly string[]> {
  const folder = await currentFolder(path);
  if (isAdapter(folder)) return [folder];
  const inside = statSync(folder, { throwIfNoEntry: false })?.isDirectory() ? readdirSync(folder).sort((a, b) => a.localeCompare(b, "en", { numeric: true })).map((name) => join(folder, name)).filter(isAdapter) : [];
  if (inside.length === 0) throw new DeftError("checkpoint.missing", `${path}: must be an adapter folder, got no adapter_config.json or deft.json in it. Check the path.`);
  return inside;
}

function isAdapter(folder: string): boolean {
  return ["adapter_config.json", RECORD_FILE].some((name) => existsSync(join(folder, name)));
}

async function readAdapter(path: string, kernel: Kernel, options: ReadOptions): Promise<ReadAdapter> {
  const adapter = await (existsSync(join(path, "adapter_config.json")) ? readForeign(path, kernel) : readOwn(path, kernel, options));
  for (const array of [...adapter.tensors.values(), ...adapter.head.values()]) checkFinite(array, path);
  const attach: ReadAdapter["attach"] = (model, rng, context) => {
    requireFormats(adapter, model);
    return adapter.attach(model, rng, context);
  };
  return { ...adapter, attach };
}

/** Where loading cannot make the formats again that the adapter was trained over, the model must be held in them already. */
function requireFormats({ path, record }: ReadAdapter, model: Model): void {
  if (record?.formats === undefined) return;
  const held = formatsOf(model);
  const keys = new Set(held.map(formatKey));
  if (keys.size === record.formats.length && record.formats.every((format) => keys.has(formatKey(format)))) return;
  const ids = (formats: readonly RecordedFormat[]): string => formats.map(({ id }) => id).join(", ") || "dense";
  throw new DeftError("checkpoint.weights", `${path}: the base's weights must be held as in training (${ids(record.formats)}), got ${ids(held)}. Export the merged model where it is trained (export, layout: model), or prune and quantize into a model folder first and train over that.`);
}

/** The `deft` layout: the attachment's own state. */
async function readOwn(path: string, kernel: Kernel, { plan }: ReadOptions): Promise<ReadAdapter> {
  const record = adapterRecord(await readJsonObject(join(path, RECORD_FILE), { code: "checkpoint.config" }), join(path, RECORD_FILE));
  const tensors = await readParameters(join(path, STATE_FILE));
  const head = existsSync(join(path, HEAD_FILE)) ? await readParameters(join(path, HEAD_FILE)) : new Map<string, NamedArray>();
  const planned = record.method === undefined ? undefined : kernel.create(PEFT_METHOD, record.method.id, record.method.options);
  const method = plan === "ignore" ? (planned?.whole?.() ?? planned) : planned;
  const attach: ReadAdapter["attach"] = (model, rng, context) => {
    const attachment = method?.attach(model, rng, context);
    attachment?.loadState(tensors.values());
    return attachment;
  };
  return { path, layout: "deft", method, record, base: record.base, name: record.name, tensors, unknownKeys: [], head, headKind: record.head.kind, labels: record.labels.length || labelsIn(head, undefined), labelNames: record.labels, attach };
}

/** PEFT's and AdapterHub's layouts. */
async function readForeign(path: string, kernel: Kernel): Promise<ReadAdapter> {
  const { layout, config, tensors, head: beside, deft } = await readAdapterFolder(path);
  const record = deft === undefined ? undefined : adapterRecord(deft, join(path, RECORD_FILE));
  // read in any case: what another library has changed since must not be passed over. Switches are refused by the reader, numbers when attached
  const foreign = foreignMethod(kernel, layout, config);
  const { method, unknownKeys } = record?.method === undefined ? (foreign ?? unreadable(path, layout, config)) : { method: kernel.create(PEFT_METHOD, record.method.id, record.method.options), unknownKeys: [] };
  const name = typeof config["name"] === "string" ? config["name"] : (record?.name ?? "default");
  const { head, rest: others } = parted(layout === "peft" ? tensors : (beside?.tensors ?? new Map<string, NamedArray>()), record?.head.tensors);
  const own = layout === "peft" ? others : tensors;
  const told = record !== undefined && record.labels.length > 0 ? record.labels : namesIn(beside?.config);
  const labels = record?.labels.length || labelsIn(head, beside?.config);
  const base = [record?.base, config["base_model_name_or_path"], config["model_name"]].find((known) => typeof known === "string") as string | undefined;
  const attach: ReadAdapter["attach"] = (model, rng, context) => {
    const attachment = method.attach(model, rng, context);
    const place = attachment.layouts?.[layout];
    if (place === undefined) throw new DeftError("checkpoint.layout", `${path}: ${method.id} must have the layout ${layout} on this model, got none. Is it the adapter's base model?`);
    requireOneAdapter(path, config, place.config());
    place.read(own, name);
    refuseStrangers(path, [...own.keys(), ...(layout === "peft" ? [] : [...others.keys()].filter((key) => key !== OUTPUT_TABLE))], place.write(name));
    if (layout !== "peft") requireOwnTable(path, others.get(OUTPUT_TABLE), model);
    return attachment;
  };
  return { path, layout, method, record, base, name, tensors: own, unknownKeys, head, headKind: record?.head.kind ?? guessedHead(head), labels, labelNames: told.length === labels ? told : [], attach };
}

/** What the reader that knows a configuration makes of it. Throws what the reader throws. */
function foreignMethod(kernel: Kernel, layout: "peft" | "adapterhub", config: Readonly<Record<string, unknown>>): { readonly method: PeftMethod; readonly unknownKeys: readonly string[] } | undefined {
  for (const { id } of kernel.contributions(ADAPTER_READER)) {
    const reader = kernel.create(ADAPTER_READER, id);
    const method = reader.layout === layout ? reader.read(config) : undefined;
    if (method !== undefined) return { method, unknownKeys: reader.unknownKeys?.(config) ?? [] };
  }
  return undefined;
}

function unreadable(path: string, layout: "peft" | "adapterhub", config: Readonly<Record<string, unknown>>): never {
  const kind = config["peft_type"] ?? JSON.stringify((config["config"] as Record<string, unknown> | undefined)?.["architecture"]);
  throw new DeftError("plugin.unknown", `${path}: some plugin must read this adapter, got ${String(kind)} in ${layout}'s layout. Install the plugin of its method.`);
}

/** Keys of a configuration that say nothing of the arithmetic of what is saved; the network that made a prefix is not. */
const ASIDE: ReadonlySet<string> = new Set(["inference_mode", "modules_to_save", "task_type", "auto_mapping", "prefix_projection", "encoder_hidden_size"]);

/** deft.json tells the method; what the other library's configuration tells of the same must agree, or one of the two was written later. */
function requireOneAdapter(path: string, told: Readonly<Record<string, unknown>>, own: Readonly<Record<string, unknown>>): void {
  for (const [key, value] of Object.entries(own)) {
    const other = told[key];
    if (ASIDE.has(key) || value === undefined || value === null || other === undefined || other === null) continue;
    if (isObject(value) && isObject(other)) requireOneAdapter(path, other, value);
    else if (inOrder(value) !== inOrder(other))
      throw new DeftError("checkpoint.config", `${path}: adapter_config.json must tell of the adapter that deft.json names, got ${key} ${JSON.stringify(other)} where that has ${JSON.stringify(value)}. If another library has written the folder anew, delete deft.json.`);
  }
}

/** Lists of modules are sets. */
const inOrder = (value: unknown): string => JSON.stringify(Array.isArray(value) ? [...(value as unknown[])].sort() : value);

function withoutPrefix(name: string): string {
  return name.replace(/^base_model\.(?:model\.)?/, "").replace(/\.modules_to_save(?:\.default)?\./, ".");
}

/** The head's tensors, under Hugging Face names, and the others as they are called. `known` are names that deft.json gives besides. */
function parted(tensors: ReadonlyMap<string, NamedArray>, known: readonly string[] = []): { readonly head: ReadonlyMap<string, NamedArray>; readonly rest: ReadonlyMap<string, NamedArray> } {
  const [head, rest] = [new Map<string, NamedArray>(), new Map<string, NamedArray>()];
  for (const [key, array] of tensors) {
    const name = withoutPrefix(key);
    if (HEAD_NAME.test(name) || known.includes(name)) head.set(name, { ...array, name });
    else rest.set(key, array);
  }
  return { head, rest };
}

/** T5's output table, which AdapterHub writes as a head: the base's own. */
const OUTPUT_TABLE = "lm_head.weight";

/** A table of the adapter's beside one that the model has would be passed over. */
function requireOwnTable(path: string, table: NamedArray | undefined, model: Model): void {
  const held = model.parameters().get(OUTPUT_TABLE)?.data();
  if (table === undefined || held === undefined || (held.length === table.values.length && held.every((value, i) => alike(value, table.values[i] as number)))) return;
  throw new DeftError("checkpoint.unexpected", `${path}: ${OUTPUT_TABLE} must be the base's own, got other values. Merge the adapter into its model with the library that trained it, and load that.`);
}

/** Tensors that the method would not write have a meaning that nobody here knows (a whole module in `modules_to_save`). PEFT's versions differ in a last `.weight`. */
function refuseStrangers(path: string, names: readonly string[], written: readonly NamedArray[]): void {
  const own = new Set(written.map(({ name }) => name));
  const strangers = names.filter((name) => !own.has(name) && !own.has(name.replace(/\.weight$/, "")));
  if (strangers.length === 0) return;
  const some = strangers.slice(0, 3).join(", ") + (strangers.length > 3 ? `, … (${strangers.length})` : "");
  throw new DeftError("checkpoint.unexpected", `${path}: an adapter must hold its method's tensors and its head's alone, got ${some}. Merge it into its model with the library that trained it, and load that.`);
}

function guessedHead(head: ReadonlyMap<string, NamedArray>): HeadKind | undefined {
  if (head.size === 0) return undefined;
  return [...head.keys()].some((name) => name.startsWith("heads.")) ? "tanh-classification" : "sequence-classification";
}

/** A setting of AdapterHub's head_config.json: of a flexible head it stands in `config`. */
function headSetting(config: Readonly<Record<string, unknown>> | undefined, key: string): unknown {
  return (config?.["config"] as Record<string, unknown> | null | undefined)?.[key] ?? config?.[key];
}

/** The classes' names by index, as AdapterHub says. */
function namesIn(config: Readonly<Record<string, unknown>> | undefined): readonly string[] {
  const told = headSetting(config, "label2id");
  const pairs = told !== null && typeof told === "object" ? Object.entries(told) : [];
  const byIndex = new Map(pairs.map(([name, id]) => [id as number, name]));
  return pairs.every((_, i) => byIndex.has(i)) ? pairs.map((_, i) => byIndex.get(i) as string) : [];
}

/** The number of labels: as AdapterHub says, or the rows of the last layer. */
function labelsIn(head: ReadonlyMap<string, NamedArray>, config: Readonly<Record<string, unknown>> | undefined): number | undefined {
  const told = headSetting(config, "num_labels");
  if (typeof told === "number") return told;
  const last = [...head.keys()].filter((name) => HEAD_NAME.test(name) && name.endsWith(".weight") && !name.includes("pooler")).sort().at(-1);
  return last === undefined ? undefined : head.get(last)?.shape[0];
}

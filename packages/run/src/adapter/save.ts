import { existsSync, readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { DeftError, type Artifact, type Attachment, type Model, type NamedArray, type PeftMethod } from "@deft-js/core";
import { formatJson, writeAdapterFolder, writeFolderAtomically, writeSafetensors, type FolderFile } from "@deft-js/checkpoint";
import { formatsOf } from "../model/encodings.ts";
import { fingerprint } from "../model/fingerprint.ts";
import { finite } from "../run/checkpoints.ts";
import { HEAD_FILE, RECORD_FILE, STATE_FILE, type AdapterLayoutId, type AdapterRecord } from "./record.ts";

/** How an adapter is written. */
export interface SaveAdapterOptions {
  /** Each method's first of peft, adapterhub and deft when left out. */
  readonly layout?: AdapterLayoutId | undefined;
  /** The adapter's name in AdapterHub's keys; `default` when left out. */
  readonly name?: string | undefined;
  /** Names of parameters that go along as the head besides those that train: a pooler that came with an adapter. */
  readonly head?: readonly string[] | undefined;
}

/**
 * Writes what is attached to a model, the trained head and deft.json; a base that is a folder is named by its absolute path. One method: into the folder itself; several: into `0-ID`, `1-ID`, … within it, in the
 * order in which they were attached, the head with the first. Without a method the head alone, in the `deft` layout. Either way the
 * folder is written as a whole: what earlier calls of the same kind have left in it goes, anything else in it is refused.
 * @throws DeftError `export.empty` when there is neither an adapter nor a trained head, `export.layout` when a method cannot be written in the layout, `checkpoint.*` (`checkpoint.occupied` for a folder that holds something else)
 */
export async function saveAdapters(path: string, given: Artifact, options: SaveAdapterOptions = {}): Promise<void> {
  const artifact = { ...given, source: absolute(given.source) };
  const { attachments } = artifact;
  const head = headOf(artifact, options.head);
  if (attachments.length === 0 && head.length === 0) throw new DeftError("export.empty", "export: an adapter or a trained head must be there, got neither. Write the whole model (layout model, or --merge), or fine-tune first.");
  const base = fingerprint(artifact);
  if (attachments.length <= 1) return saveOne(path, artifact, { ...options, attachment: attachments[0], head, base });
  const folders = attachments.map((attachment, i): [string, FolderFile] => {
    return [`${i}-${attachment.method.id}`, (to) => saveOne(to, artifact, { ...options, attachment, head: i === 0 ? head : [], base })];
  });
  refuseMixedFolders(path);
  return writeFolderAtomically(path, Object.fromEntries(folders), { replaceable: (name) => NUMBERED.test(name) });
}

/** A folder's absolute path; a hub's name as it is. */
function absolute(source: string | undefined): string | undefined {
  return source !== undefined && statSync(source, { throwIfNoEntry: false })?.isDirectory() ? resolve(source) : source;
}

/** The folder of one of several methods, and the files that it holds. */
const NUMBERED = /^\d+-./;
const OUTPUT = /\.safetensors$|^(?:adapter_config|head_config|deft)\.json$/;

/** A folder of one of several methods goes with what is in it when its parent is written anew: it must be an earlier call's and hold nothing else. */
function refuseMixedFolders(path: string): void {
  if (!existsSync(path) || !statSync(path).isDirectory()) return;
  for (const entry of readdirSync(path, { withFileTypes: true }).filter(({ name }) => NUMBERED.test(name))) {
    const held = entry.isDirectory() ? readdirSync(join(path, entry.name)) : [];
    const foreign = held.includes(RECORD_FILE) ? held.find((name) => !OUTPUT.test(name)) : "";
    if (foreign !== undefined) throw new DeftError("checkpoint.occupied", `${path}: a folder to be replaced may hold earlier output only, got ${join(entry.name, foreign)}. Choose another folder or move it away.`);
  }
}

interface OneAdapter extends Omit<SaveAdapterOptions, "head"> {
  readonly attachment: Attachment | undefined;
  readonly head: readonly NamedArray[];
  /** Its fingerprint. */
  readonly base: string;
}

async function saveOne(path: string, artifact: Artifact, { attachment, head, base, layout = layoutsOf(attachment)[0], name = "default" }: OneAdapter): Promise<void> {
  const record = recordOf(artifact, { layout, name, method: layout === "deft" ? attachment?.method : (attachment?.layouts?.[layout]?.method ?? attachment?.method), head, fingerprint: base });
  if (layout === "deft") {
    const tensors = attachment?.state() ?? [];
    const files: Record<string, FolderFile> = { [RECORD_FILE]: formatJson(finite(record), RECORD_FILE), [STATE_FILE]: (to) => writeSafetensors(to, tensors) };
    if (head.length > 0) files[HEAD_FILE] = (to) => writeSafetensors(to, head);
    return writeFolderAtomically(path, files, { replaceable: (file) => [RECORD_FILE, STATE_FILE, HEAD_FILE].includes(file) });
  }
  const written = attachment?.layouts?.[layout];
  if (attachment === undefined || written === undefined) throw new DeftError("export.layout", `export: ${attachment?.method.id ?? "a head alone"} cannot be written in layout ${layout}. Use layout ${layoutsOf(attachment).join(" or ")}.`);
  const deft = finite(record) as Record<string, unknown>;
  const tensors = written.write(name);
  if (layout === "peft") {
    const config = peftConfig(written.config(), artifact, head);
    return writeAdapterFolder(path, { layout, config, tensors: [...tensors, ...head.map((array) => peftNamed(array, config))], deft });
  }
  return writeAdapterFolder(path, { layout, config: adapterHubConfig(written.config(), artifact, name), tensors, head: adapterHubHead(artifact, head, name), deft });
}

/** The layouts that an attachment, or a head alone, can be written in: the libraries' that its method knows, and `deft`. */
export function layoutsOf(attachment: Attachment | undefined): readonly [...AdapterLayoutId[], "deft"] {
  const known = (["peft", "adapterhub"] as const).filter((layout) => attachment?.layouts?.[layout] !== undefined);
  return [...known, "deft"];
}

/** The head's parameters under their Hugging Face names, in file layout. */
function headOf({ model }: Artifact, more: readonly string[] = []): readonly NamedArray[] {
  const names = new Set([...model.headParameters().map(({ path }) => path), ...more]);
  return names.size === 0 ? [] : [...model.exportParameters()].filter(({ name }) => names.has(name));
}

function recordOf({ model, source, training, task }: Artifact, { layout, name, method, head, fingerprint }: { layout: AdapterLayoutId; name: string; method: PeftMethod | undefined; head: readonly NamedArray[]; fingerprint: string }): AdapterRecord {
  return {
    format: 1,
    layout,
    name,
    method: method === undefined ? undefined : { id: method.id, options: method.options },
    base: source,
    ...weightsOf(model),
    head: { kind: model.head, tensors: head.map((array) => array.name) },
    labels: training?.labels ?? [],
    task: training?.task ?? (task === undefined ? undefined : { [task.id]: task.options }),
    losses: training?.losses,
    fingerprint,
  };
}

/** What the linear layers which are not dense are held in: one format, which loading makes again, or what it cannot make (one that goes around another, several). */
function weightsOf(model: Model): Pick<AdapterRecord, "weights" | "formats"> {
  const found = formatsOf(model);
  const [first, ...others] = found.map(({ id, options }) => ({ id, options }));
  if (first === undefined) return {};
  return others.length > 0 || found[0]?.over !== undefined ? { formats: [first, ...others] } : { weights: first };
}

/** The kinds of PEFT's adapters that leave the base model's modules as they are, so that no tuner stands between. */
const PROMPT_LEARNING = new Set<unknown>(["PROMPT_TUNING", "PREFIX_TUNING"]);

/** As PEFT saves `modules_to_save`: without its wrapper's name. */
function peftNamed({ name, ...rest }: NamedArray, config: Readonly<Record<string, unknown>>): NamedArray {
  return { name: `base_model.${PROMPT_LEARNING.has(config["peft_type"]) ? "" : "model."}${name}`, ...rest };
}

function peftConfig(config: Record<string, unknown>, { model, source }: Artifact, head: readonly NamedArray[]): Record<string, unknown> {
  const modules = [...new Set(head.map(({ name }) => moduleOf(name)))].sort();
  return { ...config, base_model_name_or_path: source ?? null, task_type: model.head === "sequence-classification" ? "SEQ_CLS" : (config["task_type"] ?? null), modules_to_save: modules.length > 0 ? modules : (config["modules_to_save"] ?? null) };
}

/** `classifier.dense.weight` → `classifier`, `bert.pooler.dense.weight` → `pooler`. */
function moduleOf(name: string): string {
  const parts = name.split(".");
  return (parts.length > 3 ? parts[1] : parts[0]) ?? name;
}

function adapterHubConfig(config: Record<string, unknown>, artifact: Artifact, name: string): Record<string, unknown> {
  return { ...config, ...modelOf(artifact, "AdapterModel"), name, version: "3.2.1" };
}

function modelOf({ model, source }: Artifact, suffix: string): Record<string, unknown> {
  const type = String(model.config["model_type"] ?? model.family);
  const prefix = ({ bert: "Bert", roberta: "Roberta", t5: "T5", opt: "OPT" } as Record<string, string>)[type] ?? type;
  return { hidden_size: model.config["hidden_size"] ?? model.config["d_model"], model_class: `${prefix}${suffix}`, model_name: source ?? null, model_type: type };
}

/** AdapterHub keeps a flexible head by its configuration and name, a model's own head by its labels. */
function adapterHubHead(artifact: Artifact, tensors: readonly NamedArray[], name: string): { config: Record<string, unknown>; tensors: readonly NamedArray[] } | undefined {
  if (tensors.length === 0) return undefined;
  const labels = artifact.training?.labels ?? [];
  const count = Math.max(1, labels.length || (tensors.at(-1)?.shape[0] ?? 1));
  const label2id = Object.fromEntries((labels.length > 0 ? labels : Array.from({ length: count }, (_, i) => `LABEL_${i}`)).map((label, i) => [label, i]));
  if (artifact.model.head !== "tanh-classification")
    return { config: { config: null, ...modelOf(artifact, "ForSequenceClassification"), label2id, name: null, num_labels: count, version: "3.2.1" }, tensors };
  const config = { activation_function: "tanh", bias: true, head_type: "classification", label2id, layers: 2, num_labels: count, use_pooler: false };
  const renamed = tensors.map((array) => ({ ...array, name: array.name.replace(/^heads\.[^.]+\./, `heads.${name}.`) }));
  return { config: { config, ...modelOf(artifact, "AdapterModel"), name, version: "3.2.1" }, tensors: renamed };
}

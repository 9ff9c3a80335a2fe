import { join } from "node:path";
import { DeftError, type NamedArray } from "@deft-js/core";
import { currentFolder, writeFolderAtomically, type FolderFile } from "../files/atomic-folder.ts";
import { formatJson, readJsonObject, type JsonObject } from "../files/json.ts";
import { isFile } from "../files/pickle.ts";
import { readParameters } from "../safetensors/reader.ts";
import { writeSafetensors } from "../safetensors/writer.ts";
import {
  ADAPTER_CONFIG, ADAPTER_FOLDER_NAMES, ADAPTER_WEIGHTS, DEFT_FILE, detectLayout, findWeights, HEAD_CONFIG, HEAD_WEIGHTS, type LayoutId,
} from "./layout.ts";

/** A prediction head that AdapterHub keeps beside the adapter. */
export interface AdapterHead {
  /** head_config.json. */
  readonly config: JsonObject;
  readonly tensors: ReadonlyMap<string, NamedArray>;
}

/** An adapter folder's content, in the layout's own names and shapes (matrices [dOut, dIn]). */
export interface AdapterFolder {
  readonly layout: LayoutId;
  /** adapter_config.json, with every key that it holds. */
  readonly config: JsonObject;
  readonly tensors: ReadonlyMap<string, NamedArray>;
  /** AdapterHub's head; PEFT keeps a head among the tensors. */
  readonly head?: AdapterHead;
  /** deft.json: what neither layout can hold. */
  readonly deft?: JsonObject;
}

/** What an adapter folder is written from. */
export interface WriteAdapterFolderOptions {
  readonly layout: LayoutId;
  readonly config: Readonly<JsonObject>;
  readonly tensors: Iterable<NamedArray>;
  readonly head?: { readonly config: Readonly<JsonObject>; readonly tensors: Iterable<NamedArray> } | undefined;
  readonly deft?: Readonly<JsonObject> | undefined;
  /** Further files by name. */
  readonly files?: Readonly<Record<string, FolderFile>> | undefined;
}

/**
 * Reads an adapter folder of HF PEFT or AdapterHub; which of the two is told from adapter_config.json. Values become float32.
 * @throws DeftError `checkpoint.missing`, `checkpoint.config`, `checkpoint.layout`, `checkpoint.pickle`, `safetensors.*`.
 */
export async function readAdapterFolder(path: string): Promise<AdapterFolder> {
  const folder = await currentFolder(path);
  const configPath = join(folder, ADAPTER_CONFIG);
  const config = await readJsonObject(configPath, { code: "checkpoint.config" });
  const layout = detectLayout(config, configPath);
  const tensors = await readParameters(await findWeights(folder, ADAPTER_WEIGHTS[layout]));
  const hasHead = layout === "adapterhub" && (await isFile(join(folder, HEAD_CONFIG)));
  const hasDeft = await isFile(join(folder, DEFT_FILE));
  return {
    layout,
    config,
    tensors,
    ...(hasHead ? { head: await readHead(folder) } : {}),
    ...(hasDeft ? { deft: await readJsonObject(join(folder, DEFT_FILE), { code: "checkpoint.config" }) } : {}),
  };
}

/**
 * Writes an adapter folder as a whole, under the names that the library itself looks for. An earlier adapter folder is replaced.
 * AdapterHub: `load_adapter(path, use_safetensors=True)` reads it.
 * @throws DeftError `checkpoint.layout` for a config that is not the layout's or a head in PEFT's, `checkpoint.occupied`,
 * `checkpoint.json`, `checkpoint.name`, `checkpoint.unwritable`, `safetensors.*`.
 */
export async function writeAdapterFolder(path: string, options: WriteAdapterFolderOptions): Promise<void> {
  const { layout, config, tensors, head, deft, files = {} } = options;
  requireLayout(options);
  const content: Record<string, FolderFile> = {
    ...files,
    [ADAPTER_CONFIG]: formatJson(config, ADAPTER_CONFIG),
    [ADAPTER_WEIGHTS[layout].safetensors[0]]: (to) => writeSafetensors(to, tensors),
  };
  if (head) {
    content[HEAD_CONFIG] = formatJson(head.config, HEAD_CONFIG);
    content[HEAD_WEIGHTS.safetensors[0]] = (to) => writeSafetensors(to, head.tensors);
  }
  if (deft) content[DEFT_FILE] = formatJson(deft, DEFT_FILE);
  await writeFolderAtomically(path, content, { replaceable: (name) => ADAPTER_FOLDER_NAMES.has(name) });
}

async function readHead(folder: string): Promise<AdapterHead> {
  const config = await readJsonObject(join(folder, HEAD_CONFIG), { code: "checkpoint.config" });
  return { config, tensors: await readParameters(await findWeights(folder, HEAD_WEIGHTS)) };
}

function requireLayout({ layout, config, head }: WriteAdapterFolderOptions): void {
  const found = detectLayout(config, "writeAdapterFolder: config");
  if (found !== layout) {
    throw new DeftError("checkpoint.layout", `writeAdapterFolder: the config must be ${layout}'s, got ${found}'s. Write it in the layout that made the config.`);
  }
  if (layout === "peft" && head) {
    throw new DeftError("checkpoint.layout", "writeAdapterFolder: PEFT's layout keeps a head among the tensors (modules_to_save), got one beside them. Put its tensors there.");
  }
}

import { copyFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { DeftError, type ModelConfig, type TensorSource } from "@deft-js/core";
import { currentFolder, writeFolderAtomically, type FolderFile } from "../files/atomic-folder.ts";
import { isFile, pickleError } from "../files/pickle.ts";
import { writeSafetensors, type WritableTensor } from "../safetensors/writer.ts";
import { formatModelConfig, readModelConfig } from "./config.ts";
import { INDEX_NAME, openFile, openShards } from "./source.ts";

/** A Hugging Face model folder, open. */
export interface ModelFolder {
  /** Where it lies. */
  readonly path: string;
  readonly config: ModelConfig;
  readonly source: TensorSource;
  /** tokenizer.json, where the folder has one. */
  readonly tokenizerPath?: string;
}

/** What a model folder is written from. */
export interface WriteModelFolderOptions {
  readonly config: ModelConfig;
  /** In file layout; each one's `values` is read once, when its turn comes. Bytes of any dtype where a weight is not dense. */
  readonly tensors: Iterable<WritableTensor>;
  /** Paths of files to be copied in, under their own names (tokenizer.json, tokenizer_config.json, …) or by the names that they get. */
  readonly copy?: readonly string[] | Readonly<Record<string, string>>;
  /** Further files by name. */
  readonly files?: Readonly<Record<string, FolderFile>>;
}

const WEIGHTS = "model.safetensors";
/** Files of the tokenizer and of generation that a model folder holds beside its own. */
export const COMPANIONS: readonly string[] = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt", "spiece.model", "sentencepiece.bpe.model", "generation_config.json"];
const OWN_NAMES = /^(config|deft)\.json$|^model(-\d{5}-of-\d{5})?\.safetensors$|^model\.safetensors\.index\.json$/;

/**
 * Opens a Hugging Face model folder: config.json and model.safetensors, or the shards of model.safetensors.index.json. Nothing but headers
 * is read until a tensor is asked for.
 * @throws DeftError `checkpoint.missing` (no folder, no config.json, no weights, no shard), `checkpoint.pickle` when the weights are there as
 * pickle only, `checkpoint.config`, `checkpoint.index`, `safetensors.*`.
 */
export async function openModelFolder(path: string): Promise<ModelFolder> {
  const folder = await currentFolder(path);
  await requireFolder(folder);
  const config = await readModelConfig(folder);
  const source = await openWeights(folder);
  const tokenizerPath = join(folder, "tokenizer.json");
  return { path: folder, config, source, ...((await isFile(tokenizerPath)) ? { tokenizerPath } : {}) };
}

/**
 * Writes a model folder as a whole: config.json, model.safetensors (float32, but for weights in another format) and what else is given. An earlier model folder is replaced.
 * @throws DeftError `checkpoint.occupied` when the folder holds files that are no model's, `checkpoint.json`, `checkpoint.name`,
 * `checkpoint.unwritable`, `checkpoint.missing` when a file to be copied is not there, `safetensors.*`.
 */
export async function writeModelFolder(path: string, { config, tensors, copy = [], files = {} }: WriteModelFolderOptions): Promise<void> {
  const named = Array.isArray(copy) ? copy.map((from: string) => [basename(from), from] as const) : Object.entries(copy as Readonly<Record<string, string>>);
  for (const [, from] of named) {
    if (!(await isFile(from))) throw new DeftError("checkpoint.missing", `writeModelFolder: files to be copied must exist, got ${from}. Check the path.`);
  }
  const copies = named.map(([name, from]): [string, FolderFile] => [name, (to) => copyFile(from, to)]);
  const content: Record<string, FolderFile> = {
    ...files,
    ...Object.fromEntries(copies),
    "config.json": formatModelConfig(config),
    [WEIGHTS]: (to) => writeSafetensors(to, tensors),
  };
  await writeFolderAtomically(path, content, { replaceable: (name) => OWN_NAMES.test(name) || COMPANIONS.includes(name) });
}

async function requireFolder(folder: string): Promise<void> {
  const found = await stat(folder).catch(() => undefined);
  if (!found?.isDirectory()) throw new DeftError("checkpoint.missing", `${folder}: must be a model folder, got ${found ? "a file" : "nothing"}. Check the path.`);
}

async function openWeights(folder: string): Promise<TensorSource> {
  if (await isFile(join(folder, WEIGHTS))) return openFile(join(folder, WEIGHTS));
  if (await isFile(join(folder, INDEX_NAME))) return openShards(folder);
  for (const name of ["pytorch_model.bin", "pytorch_model.bin.index.json"]) {
    if (await isFile(join(folder, name))) throw pickleError({ folder, got: name, wanted: WEIGHTS });
  }
  throw new DeftError("checkpoint.missing", `${folder}: must hold ${WEIGHTS} or ${INDEX_NAME}, got neither. Check the path.`);
}

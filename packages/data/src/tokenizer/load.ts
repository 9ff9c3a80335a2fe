import { readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { DeftError, type Tokenizer } from "@deft-js/core";
import { tokenizerFromJson } from "./tokenizer.ts";

/** Largest tokenizer.json that is read, in bytes. */
const MAX_BYTES = 64 * 2 ** 20;

/**
 * Loads the tokenizer of a model folder, or a tokenizer.json by its path; a tokenizer_config.json beside it gives the names of special tokens.
 * @throws DeftError `tokenizer.missing` when there is none, `tokenizer.size` above 64 MiB, `tokenizer.malformed` when it breaks a rule
 */
export async function loadTokenizer(folderOrFile: string): Promise<Tokenizer> {
  const isFolder = await stat(folderOrFile).then((entry) => entry.isDirectory(), () => false);
  const file = isFolder ? join(folderOrFile, "tokenizer.json") : folderOrFile;
  const json = await readJson(file);
  if (json === undefined)
    throw new DeftError("tokenizer.missing", `tokenizer: a tokenizer.json must be there, got no file ${file}. Save it with \`save_pretrained\` of a fast tokenizer (vocab.txt and spiece.model are not read).`);
  try {
    return tokenizerFromJson(json, { config: await readJson(join(dirname(file), "tokenizer_config.json")) });
  } catch (cause) {
    if (!(cause instanceof DeftError)) throw cause;
    throw new DeftError(cause.code, `${file}: ${cause.message}`, { cause });
  }
}

/** The content of a JSON file of bounded size; undefined when there is no such file. */
async function readJson(file: string): Promise<unknown> {
  const entry = await stat(file).catch(() => undefined);
  if (entry === undefined || !entry.isFile()) return undefined;
  if (entry.size > MAX_BYTES) throw new DeftError("tokenizer.size", `tokenizer: ${file} must have at most ${MAX_BYTES} bytes, got ${entry.size}. Check that it is a tokenizer's file.`);
  try {
    return JSON.parse(await readFile(file, "utf8")) as unknown;
  } catch (cause) {
    throw new DeftError("tokenizer.malformed", `tokenizer: ${file} must be JSON, got ${(cause as Error).message}. Copy the file again.`, { cause });
  }
}

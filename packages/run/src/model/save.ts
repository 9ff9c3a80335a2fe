import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { DeftError, type Artifact } from "@deft-js/core";
import { writeModelFolder } from "@deft-js/checkpoint";

/** Tokenizer files that go along with a model, where its source has them. */
const COMPANIONS = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"];

/** Writes the model as a Hugging Face folder with its tokenizer's files. What is attached must have been merged. */
export async function saveModel(path: string, { model, source, attachments }: Artifact): Promise<void> {
  if (attachments.length > 0) throw new DeftError("export.attached", `export: a model folder holds no ${attachments.map(({ method }) => method.id).join(", ")}, got it attached. Merge it first.`);
  await writeModelFolder(path, { config: model.config, tensors: model.exportParameters(), copy: tokenizerFiles(source) });
}

/** The files of a tokenizer: beside the model, or the one that was named. */
export function tokenizerFiles(source: string | undefined): string[] {
  if (source === undefined) return [];
  if (basename(source) === "tokenizer.json") return [source, join(source, "..", "tokenizer_config.json")].filter((file) => existsSync(file));
  return COMPANIONS.map((name) => join(source, name)).filter((file) => existsSync(file));
}

/** Folds every attachment into the base weights. Throws `export.merge` when a method cannot. */
export function mergeAll(artifact: Artifact): Artifact {
  const stuck = artifact.attachments.find(({ merge }) => merge === undefined);
  if (stuck !== undefined) throw new DeftError("export.merge", `export: layout model merges what is attached, got ${stuck.method.id}, which cannot be merged. Export it as peft, adapterhub or deft.`);
  for (const attachment of [...artifact.attachments].reverse()) attachment.merge?.();
  return { ...artifact, attachments: [] };
}

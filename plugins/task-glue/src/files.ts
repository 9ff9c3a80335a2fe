import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { DeftError } from "@deft-js/core";
import type { Format, Row } from "@deft-js/data";
import { GLUE } from "./definitions.ts";
import { mrpcSources } from "./mrpc.ts";
import type { GlueOptions } from "./options.ts";

/** Where a split's rows are. */
export interface SplitSource {
  /** In the order in which they are read; more than one for sharded Parquet. */
  readonly files: readonly string[];
  /** From the files' names when left out. */
  readonly format?: Format;
  /** Which rows belong to the split; all when left out. */
  readonly holds?: (row: Row) => boolean;
}

/** Where a task's rows are. */
export interface TaskSources {
  readonly train: SplitSource;
  readonly evaluation: readonly { readonly name: string; readonly source: SplitSource }[];
}

/** The endings that are looked for, in this order. */
const ENDINGS = ["tsv", "jsonl", "parquet", "csv", "json"] as const;

/**
 * Finds the files of a task: `train` and `dev` or `validation` (MNLI: `…_matched` and `…_mismatched`) with a known ending, also as `sst2.train.tsv` or
 * `train-00000-of-00001.parquet`, in the folder or in one below it that is called as the task (`sst2`, `SST-2`).
 * @throws DeftError `task.files` naming the folder and what it holds
 */
export async function findSources({ name, path }: GlueOptions): Promise<TaskSources> {
  const folders = await Promise.all([path, join(path, name), join(path, GLUE[name].folder)].map(listed));
  const isReady = (folder: Folder): boolean => [["train"], ...GLUE[name].evaluation.map(({ stems }) => stems)].every((stems) => filesOf(folder, name, stems) !== undefined);
  if (name === "mrpc" && !folders.some(isReady)) {
    const sources = await mrpcSources(folders);
    if (sources !== undefined) return sources;
  }
  const find = (stems: readonly string[]): SplitSource => {
    for (const folder of folders) {
      const files = filesOf(folder, name, stems);
      if (files !== undefined) return { files };
    }
    const held = folders.flatMap((folder) => folder.names).slice(0, 20).join(", ");
    throw new DeftError("task.files", `glue ${name}: there must be a file ${stems.join(" or ")} in ${path}, got ${held || "no files there"}. Known endings: ${ENDINGS.map((e) => `.${e}`).join(", ")}.`);
  };
  return { train: find(["train"]), evaluation: GLUE[name].evaluation.map((split) => ({ name: split.name, source: find(split.stems) })) };
}

/** A folder and the names of what it holds; empty where there is none. */
export interface Folder {
  readonly path: string;
  readonly names: readonly string[];
}

async function listed(path: string): Promise<Folder> {
  return { path, names: await readdir(path).then((names) => names.sort(), () => []) };
}

function filesOf(folder: Folder, task: string, stems: readonly string[]): string[] | undefined {
  for (const stem of stems.flatMap((plain) => [plain, `${task}.${plain}`]))
    for (const ending of ENDINGS) {
      if (folder.names.includes(`${stem}.${ending}`)) return [join(folder.path, `${stem}.${ending}`)];
      const shards = shardsOf(folder, stem, ending);
      if (shards !== undefined) return shards;
    }
  return undefined;
}

/** The files `STEM-00000-of-00002.parquet`, …; all of them must be there. */
function shardsOf(folder: Folder, stem: string, ending: string): string[] | undefined {
  const shards = folder.names.filter((name) => name.startsWith(`${stem}-`) && /^\d{5}-of-\d{5}\./.test(name.slice(stem.length + 1)) && name.endsWith(`.${ending}`));
  if (shards.length === 0) return undefined;
  const count = Number(/-of-(\d{5})\./.exec(shards[0] as string)?.[1]);
  if (shards.length !== count) throw new DeftError("task.files", `glue: all ${count} shards of ${join(folder.path, stem)} must be there, got ${shards.join(", ")}. Copy the others too.`);
  return shards.map((name) => join(folder.path, name));
}

import { join } from "node:path";
import { readTsv } from "@deft-js/data";
import type { Folder, SplitSource, TaskSources } from "./files.ts";

const TRAIN = "msr_paraphrase_train.txt";
const TEST = "msr_paraphrase_test.txt";
const DEV_IDS = "dev_ids.tsv";

/**
 * MRPC from Microsoft's own files: where GLUE's `dev_ids.tsv` is beside them, its rows of the training file are the `dev` split and the others the training
 * split; otherwise the test file, which has labels, is `dev`.
 * @returns undefined when no folder holds the files
 */
export async function mrpcSources(folders: readonly Folder[]): Promise<TaskSources | undefined> {
  const folder = folders.find(({ names }) => names.includes(TRAIN) && (names.includes(DEV_IDS) || names.includes(TEST)));
  if (folder === undefined) return undefined;
  const train: SplitSource = { files: [join(folder.path, TRAIN)], format: "tsv" };
  if (!folder.names.includes(DEV_IDS)) return { train, evaluation: [{ name: "dev", source: { files: [join(folder.path, TEST)], format: "tsv" } }] };
  const dev = new Set<string>();
  for await (const { record } of readTsv(join(folder.path, DEV_IDS), { header: ["#1 ID", "#2 ID"] })) dev.add(idsOf(record));
  return {
    train: { ...train, holds: ({ record }) => !dev.has(idsOf(record)) },
    evaluation: [{ name: "dev", source: { ...train, holds: ({ record }) => dev.has(idsOf(record)) } }],
  };
}

function idsOf(record: Readonly<Record<string, unknown>>): string {
  return `${String(record["#1 ID"])} ${String(record["#2 ID"])}`;
}

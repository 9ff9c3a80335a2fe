import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { writeAll, writeFileAtomically } from "../files/atomic-file.ts";
import { isFile } from "../files/pickle.ts";
import { INDEX_NAME, readIndex } from "../model/source.ts";
import { isCommit } from "./client.ts";

/** A repository's place in the cache: `models--OWNER--NAME/{refs/REVISION, snapshots/COMMIT/FILE}`, as Hugging Face's own cache has it. */
export interface CachedRepo {
  readonly cacheDir: string;
  readonly repo: string;
}

/** Where downloads go when no folder is given: `DEFT_CACHE`, or `~/.cache/deft-js/hub`. */
export function defaultCacheDir(): string {
  return process.env["DEFT_CACHE"] ?? join(homedir(), ".cache", "deft-js", "hub");
}

/** The folder of a commit's files. */
export function snapshotFolder(at: CachedRepo, commit: string): string {
  return join(repoFolder(at), "snapshots", commit);
}

/** The folder of a revision that lies whole in the cache, if it does. */
export async function cachedSnapshot(at: CachedRepo, revision: string): Promise<string | undefined> {
  const commit = isCommit(revision) ? revision : await readRef(at, revision);
  if (commit === undefined) return undefined;
  const folder = snapshotFolder(at, commit);
  return (await isComplete(folder)) ? folder : undefined;
}

/** Notes which commit a branch or tag stood at. */
export async function writeRef(at: CachedRepo, revision: string, commit: string): Promise<void> {
  if (isCommit(revision)) return;
  await writeFileAtomically(join(repoFolder(at), "refs", revision), (handle) => writeAll(handle, new TextEncoder().encode(commit)));
}

/** True when config.json and all weights are there. Files get their names when they are verified, and the weights come last. */
export async function isComplete(folder: string): Promise<boolean> {
  if (!(await isFile(join(folder, "config.json")))) return false;
  if (await isFile(join(folder, "model.safetensors"))) return true;
  if (!(await isFile(join(folder, INDEX_NAME)))) return false;
  for (const shard of new Set((await readIndex(join(folder, INDEX_NAME))).values())) {
    if (!(await isFile(join(folder, shard)))) return false;
  }
  return true;
}

async function readRef(at: CachedRepo, revision: string): Promise<string | undefined> {
  const text = await readFile(join(repoFolder(at), "refs", revision), "utf8").catch(() => "");
  return isCommit(text.trim()) ? text.trim() : undefined;
}

function repoFolder({ cacheDir, repo }: CachedRepo): string {
  return join(cacheDir, `models--${repo.replace("/", "--")}`);
}

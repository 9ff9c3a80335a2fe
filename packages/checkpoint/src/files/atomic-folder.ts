import { lstat, mkdir, readdir, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { DeftError } from "@deft-js/core";
import { syncPath } from "./atomic-file.ts";
import { errorCode, unwritable } from "./errors.ts";

/** A file's content, or a function that writes the file at the path that it is given. */
export type FolderFile = string | Uint8Array | ((path: string) => Promise<void>);

/** How a folder is written. */
export interface WriteFolderOptions {
  /** Names that an earlier folder may hold besides the new files; they go when it is replaced. None when left out. */
  readonly replaceable?: (name: string) => boolean;
}

/**
 * Writes a folder as a whole: everything into a hidden folder beside it, fsync, then rename. An earlier folder is set aside under the
 * hidden name `.NAME.previous` until the new one stands in its place, so that a complete folder exists at every moment; `currentFolder`
 * finds it after a crash between the two renames. When a file cannot be written, the earlier folder stays and nothing new is left.
 * One process at a time may write a folder.
 * @param files content by name; names are plain, without folders
 * @throws DeftError `checkpoint.occupied` when the earlier folder holds a file that is none of the new ones and not `replaceable`,
 * `checkpoint.name` on a name with a folder in it, `checkpoint.unwritable` when the file system refuses.
 */
export async function writeFolderAtomically(
  path: string,
  files: Readonly<Record<string, FolderFile>>,
  { replaceable = () => false }: WriteFolderOptions = {},
): Promise<void> {
  try {
    await replaceFolder(await targetOf(path), files, replaceable);
  } catch (error) {
    throw unwritable(path, error);
  }
}

async function replaceFolder(target: string, files: Readonly<Record<string, FolderFile>>, replaceable: (name: string) => boolean): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  await finishEarlierSwap(target);
  await refuseForeignFiles(target, (name) => Object.hasOwn(files, name) || replaceable(name));
  const partial = hidden(target, "partial");
  await rm(partial, { recursive: true, force: true });
  try {
    await fill(partial, files);
    await swapIn(partial, target);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}

/** Where the folder's last complete version lies: the path itself, or what a crash in mid-replacement has left beside it. */
export async function currentFolder(path: string): Promise<string> {
  const target = resolve(path);
  if (await exists(target)) return path;
  const previous = hidden(target, "previous");
  return (await exists(previous)) ? previous : path;
}

/** True for a name without folders that cannot lead out of the folder that it is put in. */
export function isPlainName(name: string): boolean {
  return name !== "" && name !== "." && name !== ".." && !/[/\\\0]/.test(name);
}

async function fill(folder: string, files: Readonly<Record<string, FolderFile>>): Promise<void> {
  await mkdir(folder);
  for (const [name, content] of Object.entries(files)) {
    if (!isPlainName(name)) {
      throw new DeftError("checkpoint.name", `writeFolderAtomically: file names must be plain, got ${JSON.stringify(name)}. Leave folders out.`);
    }
    const path = join(folder, name);
    if (typeof content === "function") await content(path);
    else await writeFile(path, content);
    await syncPath(path);
  }
  await syncPath(folder);
}

async function swapIn(partial: string, target: string): Promise<void> {
  const previous = hidden(target, "previous");
  const replaces = await exists(target);
  if (replaces) await rename(target, previous);
  try {
    await rename(partial, target);
  } catch (error) {
    if (replaces) await rename(previous, target);
    throw error;
  }
  await syncPath(dirname(target));
  await rm(previous, { recursive: true, force: true });
}

/** What a crash has left: the folder that was set aside goes back when nothing stands in its place, and away when something does. */
async function finishEarlierSwap(target: string): Promise<void> {
  const previous = hidden(target, "previous");
  if (!(await exists(previous))) return;
  if (await exists(target)) await rm(previous, { recursive: true, force: true });
  else await rename(previous, target);
}

async function refuseForeignFiles(target: string, allowed: (name: string) => boolean): Promise<void> {
  if (!(await exists(target))) return;
  const held = (await stat(target)).isDirectory() ? await readdir(target) : ["(it is a file)"];
  const foreign = held.find((name) => !allowed(name));
  if (foreign !== undefined) {
    throw new DeftError("checkpoint.occupied", `${target}: a folder to be replaced may hold earlier output only, got ${foreign}. Choose another folder or move it away.`);
  }
}

async function targetOf(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return resolve(path);
    throw error;
  }
}

function hidden(target: string, suffix: "partial" | "previous"): string {
  return join(dirname(target), `.${basename(target)}.${suffix}`);
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

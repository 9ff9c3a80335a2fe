import { mkdir, open, rename, rm, type FileHandle } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { unwritable } from "./errors.ts";

/**
 * Writes a file so that its name always holds the old content or the whole new one: temporary name beside it, fsync, rename, fsync of the
 * folder. The folder is made when it is missing; the temporary file is removed when `write` throws.
 * @throws DeftError `checkpoint.unwritable` when the file system refuses, and what `write` throws.
 */
export async function writeFileAtomically(path: string, write: (handle: FileHandle) => Promise<void>): Promise<void> {
  const target = resolve(path);
  try {
    await replaceFile(target, write);
  } catch (error) {
    throw unwritable(target, error);
  }
}

async function replaceFile(target: string, write: (handle: FileHandle) => Promise<void>): Promise<void> {
  const folder = dirname(target);
  const partial = join(folder, `.${basename(target)}.partial`);
  await mkdir(folder, { recursive: true });
  try {
    const handle = await open(partial, "w");
    try {
      await write(handle);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(partial, target);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  await syncPath(folder);
}

/** Brings what the system holds of a file's content, or of a folder's list of names, to the disk. */
export async function syncPath(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Writes all bytes at the handle's position, in pieces that the system call takes. */
export async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  const piece = 1 << 28;
  let done = 0;
  while (done < bytes.byteLength) {
    const { bytesWritten } = await handle.write(bytes, done, Math.min(piece, bytes.byteLength - done));
    done += bytesWritten;
  }
}

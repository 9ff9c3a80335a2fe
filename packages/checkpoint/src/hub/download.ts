import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { DeftError } from "@deft-js/core";
import { writeAll } from "../files/atomic-file.ts";
import { unwritable } from "../files/errors.ts";
import { isFile } from "../files/pickle.ts";
import { hubError, type HubAddress, type HubClient, type RemoteFile } from "./client.ts";

/** How far a file's download is. */
export interface DownloadProgress {
  readonly file: string;
  /** Bytes on disk, those of an earlier attempt included. */
  readonly receivedBytes: number;
  readonly totalBytes: number;
}

/** One file to be fetched into a folder. */
export interface DownloadRequest {
  readonly address: HubAddress;
  readonly client: HubClient;
  readonly commit: string;
  readonly file: RemoteFile;
  readonly folder: string;
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
}

/**
 * Downloads a file, verifies its checksum and gives it its name. What an interrupted attempt has left under the hidden name is gone on
 * with. Does nothing when the file is there already.
 * @throws DeftError `hub.network` when the connection breaks (what came stays, for the next attempt), `hub.checksum` when the content is
 * not what the hub says (it is removed), `hub.*` as the client, `checkpoint.unwritable` when the file system refuses.
 */
export async function downloadVerified(request: DownloadRequest): Promise<void> {
  const { file, folder } = request;
  const target = join(folder, file.name);
  if (await isFile(target)) return;
  const partial = join(folder, `.${file.name}.${file.checksum.hex.slice(0, 16)}.partial`);
  try {
    await mkdir(folder, { recursive: true });
    await fetchInto(partial, request);
    await verify(partial, request);
    await rename(partial, target);
  } catch (error) {
    throw unwritable(target, error);
  }
}

async function fetchInto(partial: string, { address, client, commit, file, onProgress }: DownloadRequest): Promise<void> {
  let received = await stat(partial).then(({ size }) => size, () => 0);
  const report = (): void => onProgress?.({ file: file.name, receivedBytes: received, totalBytes: file.bytes });
  const handle = await open(partial, "a");
  try {
    report();
    if (received < file.bytes) {
      for await (const chunk of await client.content(commit, file, received)) {
        received += chunk.byteLength;
        if (received > file.bytes) break;
        await writeAll(handle, chunk).catch((error: unknown) => Promise.reject(unwritable(partial, error)));
        report();
      }
    }
    await handle.sync();
  } catch (cause) {
    throw hubError(address, cause);
  } finally {
    await handle.close();
  }
  if (received > file.bytes) await refuse(partial, address, `${file.name} must have ${file.bytes} bytes, got more`);
  if (received < file.bytes) {
    throw new DeftError("hub.network", `${address.repo}: ${file.name} must come whole (${file.bytes} bytes), got ${received}. Run it again: it goes on from there.`);
  }
}

async function verify(partial: string, { address, file }: DownloadRequest): Promise<void> {
  const { kind, hex } = file.checksum;
  const hash = kind === "sha256" ? createHash("sha256") : createHash("sha1").update(`blob ${file.bytes}\0`);
  for await (const chunk of createReadStream(partial)) hash.update(chunk as Uint8Array);
  const got = hash.digest("hex");
  if (got !== hex) await refuse(partial, address, `${file.name} must have ${kind === "git" ? "git " : ""}checksum ${hex}, got ${got}`);
}

async function refuse(partial: string, { repo }: HubAddress, rule: string): Promise<never> {
  await rm(partial, { force: true });
  throw new DeftError("hub.checksum", `${repo}: ${rule}. It was removed; run it again to fetch it anew.`);
}

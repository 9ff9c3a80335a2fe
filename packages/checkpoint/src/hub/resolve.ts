import { stat } from "node:fs/promises";
import { join } from "node:path";
import { DeftError } from "@deft-js/core";
import { currentFolder } from "../files/atomic-folder.ts";
import { pickleError } from "../files/pickle.ts";
import { INDEX_NAME, readIndex } from "../model/source.ts";
import { cachedSnapshot, defaultCacheDir, isComplete, snapshotFolder, writeRef } from "./cache.ts";
import { connectToHub, isCommit, type HubAddress, type RemoteFile } from "./client.ts";
import { downloadVerified, type DownloadProgress, type DownloadRequest } from "./download.ts";

/** Where models come from and where they are kept. */
export interface ResolveModelOptions {
  /** The cache; `DEFT_CACHE` or `~/.cache/deft-js/hub` when left out. */
  readonly cacheDir?: string | undefined;
  /** True: use what is on disk and never the network. */
  readonly offline?: boolean | undefined;
  /** Base URL of the hub; `HF_ENDPOINT` or `https://huggingface.co` when left out. */
  readonly endpoint?: string | undefined;
  /** Access token; `HF_TOKEN` when left out. */
  readonly token?: string | undefined;
  /** Branch, tag or commit; `main` when left out. */
  readonly revision?: string | undefined;
  /** Called at the beginning of each file and at every piece of it. */
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
}

const SMALL_FILES = ["config.json", "generation_config.json", "special_tokens_map.json", "tokenizer_config.json", "tokenizer.json"];
const WEIGHTS = "model.safetensors";

/**
 * A model's folder: an existing folder is taken as it is; any other name is one on the Hugging Face hub, whose config.json, tokenizer
 * files and safetensors weights are downloaded into the cache, verified, and found there the next time. A branch is looked up anew each
 * time; a commit that is in the cache needs no network.
 * @returns the folder's path
 * @throws DeftError `checkpoint.missing` for what is neither a folder nor a possible name; `hub.offline` when offline and not in the
 * cache; `checkpoint.pickle` when the model has pickled weights only; `hub.endpoint`, `hub.revision`, `hub.token`, `hub.access`,
 * `hub.notFound`, `hub.network`, `hub.response`, `hub.checksum`.
 */
export async function resolveModel(nameOrPath: string, options: ResolveModelOptions = {}): Promise<string> {
  const local = await currentFolder(nameOrPath);
  if (await isFolder(local)) return local;
  requireHubName(nameOrPath);
  const revision = requireRevision(options.revision ?? "main");
  const at = { cacheDir: options.cacheDir ?? defaultCacheDir(), repo: nameOrPath };
  if (options.offline || isCommit(revision)) {
    const cached = await cachedSnapshot(at, revision);
    if (cached !== undefined) return cached;
  }
  if (options.offline) {
    throw new DeftError("hub.offline", `${nameOrPath}: must be a folder or in the cache (${at.cacheDir}) when offline, got neither at revision ${revision}. Fetch it once without offline.`);
  }
  const address = addressOf(nameOrPath, options);
  const client = await connectToHub(address);
  const commit = await client.commit(revision);
  const folder = snapshotFolder(at, commit);
  if (!(await isComplete(folder))) {
    await downloadSnapshot({ address, client, commit, folder, onProgress: options.onProgress });
  }
  await writeRef(at, revision, commit);
  return folder;
}

async function downloadSnapshot(snapshot: Omit<DownloadRequest, "file">): Promise<void> {
  const { address, client, commit, folder } = snapshot;
  const listed = await client.files(commit);
  const find = (name: string): RemoteFile => {
    const file = listed.get(name);
    if (!file) throw new DeftError("checkpoint.missing", `${address.repo}: must have ${name} at revision ${commit}, got no such file. Is it a transformers model?`);
    return file;
  };
  find("config.json");
  const weights = [WEIGHTS, INDEX_NAME].find((name) => listed.has(name));
  if (weights === undefined) {
    const pickle = [...listed.keys()].find((name) => /^pytorch_model.*\.bin(\.index\.json)?$/.test(name));
    if (pickle !== undefined) throw pickleError({ folder: address.repo, got: pickle, wanted: WEIGHTS });
  }
  for (const name of SMALL_FILES.filter((small) => listed.has(small))) await downloadVerified({ ...snapshot, file: find(name) });
  await downloadVerified({ ...snapshot, file: find(weights ?? WEIGHTS) });
  if (weights !== INDEX_NAME) return;
  for (const shard of new Set((await readIndex(join(folder, INDEX_NAME))).values())) {
    await downloadVerified({ ...snapshot, file: find(shard) });
  }
}

function addressOf(repo: string, { endpoint, token }: ResolveModelOptions): HubAddress {
  const base = endpoint ?? process.env["HF_ENDPOINT"] ?? "https://huggingface.co";
  if (!URL.canParse(base) || !/^https?:$/.test(new URL(base).protocol)) {
    throw new DeftError("hub.endpoint", `resolveModel: the endpoint must be an http or https URL, got ${base}. Check endpoint and HF_ENDPOINT.`);
  }
  return { repo, endpoint: base.replace(/\/+$/, ""), token: token ?? process.env["HF_TOKEN"] };
}

function requireHubName(name: string): void {
  const part = "[A-Za-z0-9_][A-Za-z0-9._-]{0,95}";
  if (!new RegExp(`^${part}(/${part})?$`).test(name) || name.includes("..") || name.includes("--")) {
    throw new DeftError("checkpoint.missing", `${name}: must be a folder or a model on the hub (owner/name), got neither. Check the path.`);
  }
}

function requireRevision(revision: string): string {
  const parts = revision.split("/");
  if (parts.length > 8 || !parts.every((part) => /^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/.test(part))) {
    throw new DeftError("hub.revision", `resolveModel: a revision must be a branch, tag or commit, got ${JSON.stringify(revision)}. Check its spelling.`);
  }
  return revision;
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then((found) => found.isDirectory(), () => false);
}

import { DeftError } from "@deft-js/core";
import { isPlainName } from "../files/atomic-folder.ts";

/** A repository on a hub, at one endpoint. */
export interface HubAddress {
  /** `owner/name`, or `name` alone for the oldest models. */
  readonly repo: string;
  /** Base URL of the hub, without a slash at its end. */
  readonly endpoint: string;
  /** Access token (`hf_…`) for private and gated models. */
  readonly token?: string | undefined;
}

/** A file that the hub lists, with what its content is verified by. */
export interface RemoteFile {
  readonly name: string;
  readonly bytes: number;
  /** SHA-256 of the content (large files), or git's SHA-1 of the blob, in hex. */
  readonly checksum: { readonly kind: "sha256" | "git"; readonly hex: string };
}

/** What is asked of a hub. */
export interface HubClient {
  /** The commit that a branch, tag or commit names. */
  commit(revision: string): Promise<string>;
  /** The files at the top of the repository. */
  files(commit: string): Promise<Map<string, RemoteFile>>;
  /** A file's content from a byte on. */
  content(commit: string, file: RemoteFile, from: number): Promise<AsyncIterable<Uint8Array>>;
}

const MAX_FILES = 10_000;

/**
 * Connects to a hub through `@huggingface/hub`, which is loaded here and not before. The token goes to the endpoint and to no other host.
 * @throws DeftError `hub.token` on a token that is none; the client's calls throw `hub.access` (401, 403), `hub.notFound` (404),
 * `hub.network` (no answer, other statuses) and `hub.response` (an answer that breaks the protocol).
 */
export async function connectToHub(address: HubAddress): Promise<HubClient> {
  const { repo, endpoint, token } = address;
  if (token !== undefined && !token.startsWith("hf_")) {
    throw new DeftError("hub.token", "resolveModel: a token must start with hf_, got another string. Make one in the settings of your hub account.");
  }
  const hub = await import("@huggingface/hub");
  const access = { hubUrl: endpoint, fetch: fetchFor(new URL(endpoint).origin), ...(token === undefined ? {} : { accessToken: token }) };
  return {
    async commit(revision) {
      const { sha } = await hub
        .modelInfo({ ...access, name: repo, revision, additionalFields: ["sha"] })
        .catch((cause: unknown) => Promise.reject(hubError(address, cause)));
      if (!isCommit(sha)) throw brokenAnswer(address, "a commit must be 40 hex digits", sha);
      return sha;
    },
    async files(commit) {
      const files = new Map<string, RemoteFile>();
      try {
        for await (const entry of hub.listFiles({ ...access, repo: { type: "model", name: repo }, revision: commit })) {
          if (entry.type === "file" && isPlainName(entry.path)) files.set(entry.path, remoteFile(address, entry));
          if (files.size > MAX_FILES) throw brokenAnswer(address, `a model may have ${MAX_FILES} files at most`, "more");
        }
      } catch (cause) {
        throw hubError(address, cause);
      }
      return files;
    },
    async content(commit, { name, bytes, checksum }, from) {
      const url = `${endpoint}/${repo}/resolve/${commit}/${encodeURIComponent(name)}`;
      const downloadInfo = { url, size: bytes, etag: checksum.hex };
      const blob = await hub.downloadFile({ ...access, repo: { type: "model", name: repo }, path: name, revision: commit, downloadInfo, xet: false });
      if (!blob) throw new DeftError("hub.notFound", `${repo}: must have ${name} at ${endpoint}, got no such file. Check the revision.`);
      return (from === 0 ? blob : blob.slice(from)).stream();
    },
  };
}

/** True for a full commit id. */
export function isCommit(revision: unknown): revision is string {
  return typeof revision === "string" && /^[0-9a-f]{40}$/.test(revision);
}

/** What went wrong between us and the hub, as a DeftError; DeftErrors pass. */
export function hubError({ repo, endpoint, token }: HubAddress, cause: unknown): DeftError {
  if (cause instanceof DeftError) return cause;
  const status = typeof cause === "object" && cause !== null && "statusCode" in cause ? cause.statusCode : undefined;
  if (status === 404) {
    return new DeftError("hub.notFound", `${repo}: must exist at ${endpoint}, got 404. Check the name and the revision.`, { cause });
  }
  if (status === 401 || status === 403) {
    const remedy = token === undefined ? "Check the name; a private or gated model needs a token." : "Check the name and whether the token may read it.";
    return new DeftError("hub.access", `${repo}: must be open to you at ${endpoint}, got ${status}. ${remedy}`, { cause });
  }
  const got = status === undefined ? reasonOf(cause) : `status ${String(status)}`;
  return new DeftError("hub.network", `${repo}: ${endpoint} must answer, got ${got}. Try again; what is on disk already can be used offline.`, { cause });
}

/** fetch that keeps the token from other hosts and does not take a whole file for the part that was asked for. */
function fetchFor(origin: string): typeof fetch {
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const headers = new Headers(init?.headers);
    if (url.origin !== origin) headers.delete("authorization");
    const response = await fetch(url, { ...init, headers });
    if (headers.has("range") && response.status === 200) {
      await response.body?.cancel();
      throw new Error("a whole file for a range");
    }
    return response;
  };
}

interface ListedFile {
  readonly path: string;
  readonly size: number;
  readonly oid?: string;
  readonly lfs?: { readonly oid: string };
}

function remoteFile(address: HubAddress, { path, size, oid, lfs }: ListedFile): RemoteFile {
  if (!Number.isSafeInteger(size) || size < 0) throw brokenAnswer(address, `the size of ${path} must be a whole number`, size);
  if (lfs && /^[0-9a-f]{64}$/.test(lfs.oid)) return { name: path, bytes: size, checksum: { kind: "sha256", hex: lfs.oid } };
  if (!lfs && isCommit(oid)) return { name: path, bytes: size, checksum: { kind: "git", hex: oid } };
  throw brokenAnswer(address, `${path} must have a checksum`, lfs?.oid ?? oid);
}

function brokenAnswer({ repo, endpoint }: HubAddress, rule: string, got: unknown): DeftError {
  return new DeftError("hub.response", `${repo}: ${rule}, got ${JSON.stringify(got) ?? "nothing"} from ${endpoint}. Is it a Hugging Face hub?`);
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  return cause.cause instanceof Error ? `${cause.message} (${cause.cause.message})` : cause.message;
}

import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A request that the server has seen. */
export interface SeenRequest {
  readonly host: "hub" | "cdn";
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

/** A small hub: revision, listing, resolve with redirect of large files to another host, ranges. */
export interface HubServer {
  readonly endpoint: string;
  readonly commit: string;
  readonly seen: SeenRequest[];
  /** Files of `owner/model` by name. Names ending in `.safetensors` are large files with SHA-256, the others have git's checksum. */
  readonly files: Map<string, Uint8Array>;
  /** Changes how the server behaves. */
  readonly faults: { cutAfter?: number; ignoreRange?: boolean; corrupt?: boolean; token?: string; badCommit?: boolean; badOid?: boolean; pages?: boolean };
  close(): Promise<void>;
}

/** Starts the hub and its content host on two ports of the loopback. */
export async function startHub(): Promise<HubServer> {
  const hub: HubServer = {
    endpoint: "",
    commit: "0123456789abcdef0123456789abcdef01234567",
    seen: [],
    files: new Map(),
    faults: {},
    close: async () => {
      await Promise.all([stop(front), stop(content)]);
    },
  };
  const content = createServer((request, response) => {
    note(hub, "cdn", request);
    if (request.url === "/page-2") sendJson(response, 200, listing(hub).slice(2));
    else sendContent(hub, request, response);
  });
  const cdn = await listen(content);
  const front = createServer((request, response) => {
    note(hub, "hub", request);
    answer(hub, { request, response, cdn });
  });
  return Object.assign(hub, { endpoint: await listen(front) });
}

function answer(hub: HubServer, { request, response, cdn }: { request: IncomingMessage; response: ServerResponse; cdn: string }): void {
  const { pathname } = new URL(request.url ?? "/", "http://localhost");
  if (hub.faults.token !== undefined && request.headers.authorization !== `Bearer ${hub.faults.token}`) return sendJson(response, 401, { error: "Invalid credentials" });
  if (/^\/api\/models\/owner\/model\/revision\/(main|v1|refs%2Fpr%2F1|[0-9a-f]{40})$/.test(pathname)) {
    return sendJson(response, 200, { _id: "1", id: "owner/model", sha: hub.faults.badCommit ? "../../x" : hub.commit, lastModified: "2024-01-01T00:00:00Z" });
  }
  if (pathname === `/api/models/owner/model/tree/${hub.commit}`) {
    if (hub.faults.pages) response.setHeader("link", `<${cdn}/page-2>; rel="next"`);
    return sendJson(response, 200, hub.faults.pages ? listing(hub).slice(0, 2) : listing(hub));
  }
  const name = pathname.match(new RegExp(`^/owner/model/resolve/${hub.commit}/([^/]+)$`))?.[1];
  if (name === undefined || !hub.files.has(name)) return sendJson(response, 404, { error: "Entry not found" });
  if (!name.endsWith(".safetensors")) return sendContent(hub, request, response);
  const sha256 = createHash("sha256").update(hub.files.get(name)!).digest("hex");
  response.writeHead(302, { location: `${cdn}/${name}`, "x-linked-etag": `"${sha256}"`, "x-linked-size": hub.files.get(name)!.byteLength, "x-repo-commit": hub.commit }).end();
}

function listing(hub: HubServer): object[] {
  const entries = [...hub.files].map(([path, bytes]) => {
    const oid = hub.faults.badOid ? "none" : createHash("sha1").update(`blob ${bytes.byteLength}\0`).update(bytes).digest("hex");
    const lfs = { oid: createHash("sha256").update(bytes).digest("hex"), size: bytes.byteLength, pointerSize: 134 };
    return { type: "file", path, size: bytes.byteLength, oid, ...(path.endsWith(".safetensors") ? { lfs } : {}) };
  });
  return [{ type: "directory", path: "onnx", size: 0, oid: "" }, ...entries];
}

function sendContent(hub: HubServer, request: IncomingMessage, response: ServerResponse): void {
  const name = (request.url ?? "").split("/").at(-1)!;
  const whole = hub.files.get(name)!.slice();
  if (hub.faults.corrupt) whole[whole.byteLength - 1]! ^= 1;
  const range = hub.faults.ignoreRange ? null : /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
  const [from, to] = range ? [Number(range[1]), Number(range[2])] : [0, whole.byteLength - 1];
  const bytes = whole.subarray(from, to + 1);
  response.writeHead(range ? 206 : 200, {
    etag: `"${name}"`,
    "accept-ranges": "bytes",
    "content-length": bytes.byteLength,
    ...(range ? { "content-range": `bytes ${from}-${to}/${whole.byteLength}` } : {}),
  });
  if (hub.faults.cutAfter === undefined || hub.faults.cutAfter >= bytes.byteLength) response.end(bytes);
  else response.write(bytes.subarray(0, hub.faults.cutAfter), () => setTimeout(() => response.destroy(), 20));
}

function note(hub: HubServer, host: "hub" | "cdn", { url = "", headers }: IncomingMessage): void {
  hub.seen.push({ host, path: url.split("?")[0]!, range: headers.range, authorization: headers.authorization });
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function stop(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
}

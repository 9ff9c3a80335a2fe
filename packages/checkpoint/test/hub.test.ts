import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { openModelFolder, resolveModel, writeSafetensors, type DownloadProgress, type ResolveModelOptions } from "../src/index.ts";
import { startHub, type HubServer } from "./hub-server.ts";
import { expectCode, temporaryFolder } from "./support.ts";

const folder = temporaryFolder();
const encoder = new TextEncoder();
let hub: HubServer;
let options: ResolveModelOptions;
let weights: Uint8Array;
let caches = 0;

beforeAll(async () => {
  const path = folder.path("weights");
  await writeSafetensors(path, [{ name: "x", shape: [50_000], values: Float32Array.from({ length: 50_000 }, (_, index) => index) }]);
  weights = await readFile(path);
});

beforeEach(async () => {
  hub = await startHub();
  hub.files.set("config.json", encoder.encode('{"model_type":"bert"}'));
  hub.files.set("tokenizer.json", encoder.encode('{"model":{}}'));
  hub.files.set("model.safetensors", weights);
  hub.files.set("flax_model.msgpack", encoder.encode("not wanted"));
  caches += 1;
  options = { cacheDir: folder.path(`cache-${caches}`), endpoint: hub.endpoint };
});

afterEach(() => hub.close());

function snapshot(): string {
  return join(options.cacheDir!, "models--owner--model", "snapshots", hub.commit);
}

test("an existing folder is taken as it is, without a network", async () => {
  await mkdir(folder.path("local"), { recursive: true });
  expect(await resolveModel(folder.path("local"), { offline: true })).toBe(folder.path("local"));
  expect(hub.seen).toEqual([]);
});

test("config, tokenizer and weights are downloaded once, verified and reported", async () => {
  const progress: DownloadProgress[] = [];
  const path = await resolveModel("owner/model", { ...options, onProgress: (step) => progress.push(step) });
  expect(path).toBe(snapshot());
  expect((await readdir(path)).sort()).toEqual(["config.json", "model.safetensors", "tokenizer.json"]);
  const model = await openModelFolder(path);
  expect((await model.source.read("x"))[49_999]).toBe(49_999);
  expect(progress.at(-1)).toEqual({ file: "model.safetensors", receivedBytes: weights.byteLength, totalBytes: weights.byteLength });
  expect([...new Set(progress.map(({ file }) => file))]).toEqual(["config.json", "tokenizer.json", "model.safetensors"]);

  hub.seen.length = 0;
  expect(await resolveModel("owner/model", options)).toBe(path);
  expect(hub.seen.map((request) => request.path)).toEqual(["/api/models/owner/model/revision/main"]);
});

test("a cache that cannot be written is no matter of the hub", async () => {
  const file = folder.path("weights", "cache");
  await expectCode(resolveModel("owner/model", { ...options, cacheDir: file }), "checkpoint.unwritable");
});

test("shards are found through the index", async () => {
  hub.files.delete("model.safetensors");
  await writeSafetensors(folder.path("shard"), [{ name: "y", shape: [1], values: new Float32Array([3]) }]);
  hub.files.set("model-00001-of-00002.safetensors", weights);
  hub.files.set("model-00002-of-00002.safetensors", await readFile(folder.path("shard")));
  hub.files.set("model.safetensors.index.json", encoder.encode(JSON.stringify({ weight_map: { x: "model-00001-of-00002.safetensors", y: "model-00002-of-00002.safetensors" } })));
  const { source } = await openModelFolder(await resolveModel("owner/model", options));
  expect(await source.read("y")).toEqual(new Float32Array([3]));
});

test("an index cannot place files outside the cache, nor a listing, nor a commit", async () => {
  hub.files.delete("model.safetensors");
  hub.files.set("model.safetensors.index.json", encoder.encode(JSON.stringify({ weight_map: { x: "../../../x.safetensors" } })));
  await expectCode(resolveModel("owner/model", options), "checkpoint.index");
  hub.files.set("model.safetensors.index.json", encoder.encode(JSON.stringify({ weight_map: { x: "absent.safetensors" } })));
  await expectCode(resolveModel("owner/model", { ...options, cacheDir: folder.path("other") }), "checkpoint.missing");
  hub.faults.badCommit = true;
  await expectCode(resolveModel("owner/model", options), "hub.response");
  delete hub.faults.badCommit;
  hub.faults.badOid = true;
  await expectCode(resolveModel("owner/model", { ...options, cacheDir: folder.path("third") }), "hub.response");
});

test("a broken download goes on from where it stood, by range", async () => {
  hub.faults.cutAfter = 70_000;
  await expectCode(resolveModel("owner/model", options), "hub.network");
  const [partial] = (await readdir(snapshot())).filter((name) => name.endsWith(".partial"));
  expect((await stat(join(snapshot(), partial!))).size).toBe(70_000);
  expect(existsSync(join(snapshot(), "model.safetensors"))).toBe(false);
  await expectCode(resolveModel("owner/model", { ...options, offline: true }), "hub.offline");

  delete hub.faults.cutAfter;
  hub.seen.length = 0;
  const path = await resolveModel("owner/model", options);
  expect(hub.seen.filter(({ host }) => host === "cdn").map(({ range }) => range)).toEqual([`bytes=70000-${weights.byteLength - 1}`]);
  expect((await readFile(join(path, "model.safetensors"))).equals(weights)).toBe(true);
  expect((await readdir(path)).filter((name) => name.endsWith(".partial"))).toEqual([]);
});

test("a server that sends the whole file for a range is refused and what came before stays", async () => {
  hub.faults.cutAfter = 70_000;
  await expectCode(resolveModel("owner/model", options), "hub.network");
  hub.faults.ignoreRange = true;
  expect((await expectCode(resolveModel("owner/model", options), "hub.network")).message).toContain("a whole file for a range");
  hub.faults.ignoreRange = false;
  delete hub.faults.cutAfter;
  await resolveModel("owner/model", options);
});

test("content with another checksum is removed", async () => {
  hub.faults.corrupt = true;
  expect((await expectCode(resolveModel("owner/model", options), "hub.checksum")).message).toContain("git checksum");
  hub.faults.corrupt = false;
  const config = hub.files.get("config.json")!;
  await resolveModel("owner/model", options);
  expect((await readFile(join(snapshot(), "config.json"))).equals(config)).toBe(true);

  hub.faults.corrupt = true;
  hub.files.delete("config.json");
  await expectCode(resolveModel("owner/model", { ...options, cacheDir: folder.path("empty") }), "checkpoint.missing");
  expect(existsSync(folder.path("empty"))).toBe(false);
});

test("a large file with another SHA-256 is removed", async () => {
  hub.faults.cutAfter = 70_000;
  await expectCode(resolveModel("owner/model", options), "hub.network");
  delete hub.faults.cutAfter;
  hub.faults.corrupt = true;
  expect((await expectCode(resolveModel("owner/model", options), "hub.checksum")).message).toContain("model.safetensors");
  expect((await readdir(snapshot())).sort()).toEqual(["config.json", "tokenizer.json"]);
});

test("offline, the cache is enough; without it the error says so", async () => {
  await expectCode(resolveModel("owner/model", { ...options, offline: true }), "hub.offline");
  const path = await resolveModel("owner/model", { ...options, revision: "refs/pr/1" });
  await hub.close();
  expect(await resolveModel("owner/model", { ...options, revision: "refs/pr/1", offline: true })).toBe(path);
  expect(await resolveModel("owner/model", { ...options, revision: hub.commit })).toBe(path);
  await expectCode(resolveModel("owner/model", { ...options, offline: true }), "hub.offline");
  await expectCode(resolveModel("owner/model", options), "hub.network");
});

test("the token goes to the hub and not to the host that it sends us to, for content or for the next page", async () => {
  hub.faults.token = "hf_secret";
  hub.faults.pages = true;
  await expectCode(resolveModel("owner/model", options), "hub.access");
  await expectCode(resolveModel("owner/model", { ...options, token: "secret" }), "hub.token");
  const error = await expectCode(resolveModel("owner/model", { ...options, token: "hf_wrong" }), "hub.access");
  expect(error.message).not.toContain("hf_wrong");
  hub.seen.length = 0;
  await resolveModel("owner/model", { ...options, token: "hf_secret" });
  expect(new Set(hub.seen.filter(({ host }) => host === "hub").map(({ authorization }) => authorization))).toEqual(new Set(["Bearer hf_secret"]));
  expect(hub.seen.filter(({ host }) => host === "cdn").map(({ authorization }) => authorization)).toEqual([undefined, undefined]);
});

test("what cannot be is refused: names, revisions, endpoints, pickles", async () => {
  await expectCode(resolveModel("owner/absent", options), "hub.notFound");
  for (const name of ["./no/such/folder", "/absent", "a/b/c", "owner/..", "a--b", "owner/mo del", ""]) {
    await expectCode(resolveModel(name, options), "checkpoint.missing");
  }
  for (const revision of ["../main", "", "a//b", "-x", "a b"]) await expectCode(resolveModel("owner/model", { ...options, revision }), "hub.revision");
  for (const endpoint of ["localhost", "file:///etc"]) await expectCode(resolveModel("owner/model", { ...options, endpoint }), "hub.endpoint");
  hub.files.delete("model.safetensors");
  await expectCode(resolveModel("owner/model", options), "checkpoint.missing");
  hub.files.set("pytorch_model.bin", encoder.encode("x"));
  await expectCode(resolveModel("owner/model", options), "checkpoint.pickle");
});

import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type { NamedArray } from "@deft-js/core";
import { memorySource, openModelFolder, writeModelFolder, writeSafetensors } from "../src/index.ts";
import { expectCode, temporaryFolder } from "./support.ts";

const folder = temporaryFolder();
const config = { model_type: "bert", hidden_size: 2, unknown: { kept: [1, null] } };
const ones: NamedArray = { name: "a", shape: [2], values: new Float32Array([1, 1]) };
const twos: NamedArray = { name: "b", shape: [1], values: new Float32Array([2]) };

async function shards(name: string, weightMap: Record<string, unknown>): Promise<string> {
  const path = folder.path(name);
  await mkdir(path);
  await writeFile(folder.path(name, "config.json"), JSON.stringify(config));
  await writeSafetensors(folder.path(name, "model-00001-of-00002.safetensors"), [ones]);
  await writeSafetensors(folder.path(name, "model-00002-of-00002.safetensors"), [twos]);
  await writeFile(folder.path(name, "model.safetensors.index.json"), JSON.stringify({ metadata: { total_size: 12 }, weight_map: weightMap }));
  return path;
}

test("a model folder comes back as it was written, with files copied in", async () => {
  const path = folder.path("model");
  await writeFile(folder.path("tokenizer.json"), "{}");
  await writeModelFolder(path, { config, tensors: [ones, twos], copy: [folder.path("tokenizer.json")], files: { "deft.json": "{}" } });
  expect((await readdir(path)).sort()).toEqual(["config.json", "deft.json", "model.safetensors", "tokenizer.json"]);
  const model = await openModelFolder(path);
  expect(model.config).toEqual(config);
  expect(model.source.names()).toEqual(["a", "b"]);
  expect(model.source.shape("a")).toEqual([2]);
  expect(await model.source.read("b")).toEqual(new Float32Array([2]));
  expect(model.tokenizerPath).toBe(folder.path("model", "tokenizer.json"));
  await writeModelFolder(path, { config, tensors: [twos] });
  expect((await readdir(path)).sort()).toEqual(["config.json", "model.safetensors"]);
  expect((await openModelFolder(path)).tokenizerPath).toBeUndefined();
});

test("whole numbers stay floats where transformers declares floats", async () => {
  const path = folder.path("floats");
  const floats = { model_type: "t5", initializer_factor: 1, dropout_rate: 0, layer_norm_epsilon: 0.5, num_layers: 2, classifier_dropout: 0, nested: { init_std: 1 }, text: '"dropout": 1' };
  await writeModelFolder(path, { config: floats, tensors: [ones] });
  const text = await readFile(folder.path("floats", "config.json"), "utf8");
  expect(text.match(/\d+\.0/g)).toHaveLength(4);
  expect(text).toMatch(/"initializer_factor": 1\.0,\n\s+"dropout_rate": 0\.0,\n\s+"layer_norm_epsilon": 0\.5,\n\s+"num_layers": 2,/);
  expect((await openModelFolder(path)).config).toEqual(floats);
});

test("whole numbers are no parameters: codes that nobody has decoded are refused, and can be read as they are stored", async () => {
  const codes = { name: "layer.weight", dtype: "I8" as const, shape: [1, 2], bytes: new Uint8Array([127, 255]) };
  const path = folder.path("codes");
  await writeModelFolder(path, { config, tensors: [codes, ones] });
  const { source } = await openModelFolder(path);
  expect(await source.read("a")).toEqual(new Float32Array([1, 1]));
  expect((await source.readRaw?.("layer.weight"))?.bytes).toEqual(codes.bytes);
  await expectCode(Promise.resolve().then(() => source.read("layer.weight")), "checkpoint.dtype");
});

test("shards are read through their index, behind links too", async () => {
  const path = await shards("sharded", { b: "model-00002-of-00002.safetensors", a: "model-00001-of-00002.safetensors" });
  await mkdir(folder.path("linked"));
  for (const name of await readdir(path)) await symlink(folder.path("sharded", name), folder.path("linked", name));
  for (const place of [path, folder.path("linked")]) {
    const { source } = await openModelFolder(place);
    expect(source.names()).toEqual(["b", "a"]);
    expect(source.shape("b")).toEqual([1]);
    expect(await source.read("a")).toEqual(new Float32Array([1, 1]));
    await expectCode(Promise.resolve().then(() => source.read("c")), "checkpoint.missing");
  }
});

test("an index that leads astray is refused", async () => {
  const first = "model-00001-of-00002.safetensors";
  const second = "model-00002-of-00002.safetensors";
  const cases: [string, Record<string, unknown>, string][] = [
    ["escape", { a: "../sharded/model-00001-of-00002.safetensors" }, "checkpoint.index"],
    ["absolute", { a: "/etc/passwd.safetensors" }, "checkpoint.index"],
    ["pickled", { a: "model.bin" }, "checkpoint.index"],
    ["number", { a: 1 }, "checkpoint.index"],
    ["absent", { a: first, b: "model-00003-of-00003.safetensors" }, "checkpoint.missing"],
    ["wrong", { a: first, b: first }, "checkpoint.index"],
    ["extra", { a: first, b: second, c: second }, "checkpoint.index"],
  ];
  for (const [name, map, code] of cases) {
    const path = await shards(name, map);
    await expectCode(openModelFolder(path), code);
  }
  const both = folder.path("extra", "model-00002-of-00002.safetensors");
  await writeSafetensors(both, [twos, { ...twos, name: "c" }, { ...twos, name: "d" }]);
  expect((await expectCode(openModelFolder(folder.path("extra")), "checkpoint.index")).message).toContain("where d is");
});

test("a folder without safetensors is refused with the remedy", async () => {
  const path = folder.path("pickled-model");
  await expectCode(openModelFolder(path), "checkpoint.missing");
  await mkdir(path);
  await expectCode(openModelFolder(path), "checkpoint.missing");
  await writeFile(folder.path("pickled-model", "config.json"), JSON.stringify(config));
  await expectCode(openModelFolder(path), "checkpoint.missing");
  await writeFile(folder.path("pickled-model", "pytorch_model.bin"), "");
  expect((await expectCode(openModelFolder(path), "checkpoint.pickle")).message).toContain("save_file");
});

test("config.json is bounded and checked", async () => {
  const path = folder.path("config");
  await mkdir(path);
  await writeSafetensors(folder.path("config", "model.safetensors"), [ones]);
  for (const text of ["", "[]", "{", '{"a":NaN}', "{}", '{"model_type":3}', '{"model_type":"bert","model_type":"t5"}', `{"model_type":"bert","x":"${"y".repeat(5e6)}"}`]) {
    await writeFile(folder.path("config", "config.json"), text);
    await expectCode(openModelFolder(path), "checkpoint.config");
  }
  await writeFile(folder.path("config", "config.json"), '{"model_type":"bert"}');
  expect((await openModelFolder(path)).config).toEqual({ model_type: "bert" });
});

test("writing refuses what it cannot keep and leaves nothing", async () => {
  const path = folder.path("nothing");
  await expectCode(writeModelFolder(path, { config, tensors: [ones], copy: [folder.path("absent.json")] }), "checkpoint.missing");
  await expectCode(writeModelFolder(path, { config: { a: NaN }, tensors: [ones] }), "checkpoint.json");
  await expectCode(writeModelFolder(path, { config, tensors: [ones, ones] }), "safetensors.duplicate");
  expect((await readdir(folder.path())).filter((name) => name.includes("nothing"))).toEqual([]);
});

test("tensors in memory are a source as well", async () => {
  const source = memorySource([ones, twos]);
  expect(source.names()).toEqual(["a", "b"]);
  expect(source.shape("b")).toEqual([1]);
  expect(await source.read("a")).toBe(ones.values);
  await expectCode(Promise.resolve().then(() => source.shape("c")), "checkpoint.missing");
  await expectCode(Promise.resolve().then(() => memorySource([ones, ones])), "safetensors.duplicate");
});

const goldens = fileURLToPath(new URL("../../../../shared/goldens/", import.meta.url));

test.skipIf(!existsSync(goldens))("every model folder of the goldens opens, and its bytes survive writing", async () => {
  const opened = [];
  for (const name of await readdir(goldens)) {
    if (!existsSync(`${goldens}${name}/model.safetensors`)) continue;
    const model = await openModelFolder(`${goldens}${name}`);
    const tensors: NamedArray[] = [];
    for (const key of model.source.names()) tensors.push({ name: key, shape: model.source.shape(key), values: await model.source.read(key) });
    const path = folder.path("again");
    await writeModelFolder(path, { config: model.config, tensors });
    const again = await openModelFolder(path);
    expect(again.config).toEqual(JSON.parse(await readFile(`${goldens}${name}/config.json`, "utf8")));
    expect([...again.source.names()].sort()).toEqual([...model.source.names()].sort());
    for (const { name: key, shape, values } of tensors) {
      expect(again.source.shape(key)).toEqual(shape);
      const back = await again.source.read(key);
      expect(Buffer.from(back.buffer).equals(Buffer.from(values.buffer)), key).toBe(true);
    }
    opened.push(name);
    await rm(path, { recursive: true });
  }
  expect(opened.length).toBeGreaterThan(5);
});

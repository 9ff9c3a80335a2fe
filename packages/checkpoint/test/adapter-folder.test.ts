import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { readAdapterFolder, writeAdapterFolder, writeSafetensors, type AdapterFolder } from "../src/index.ts";
import { expectCode, temporaryFolder } from "./support.ts";

const folder = temporaryFolder();
const fixtures = fileURLToPath(new URL("fixtures/", import.meta.url));
const goldens = fileURLToPath(new URL("../../../../shared/goldens/", import.meta.url));

async function roundTrip(path: string): Promise<{ before: AdapterFolder; after: AdapterFolder; files: string[] }> {
  const before = await readAdapterFolder(path);
  const to = folder.path("round-trip");
  await writeAdapterFolder(to, {
    layout: before.layout,
    config: before.config,
    tensors: before.tensors.values(),
    head: before.head && { config: before.head.config, tensors: before.head.tensors.values() },
    deft: { density: 1 },
  });
  const files = (await readdir(to)).sort();
  const after = await readAdapterFolder(to);
  return { before, after, files };
}

test("PEFT's LoRA", async () => {
  const { before, after, files } = await roundTrip(`${fixtures}bert-lora-peft`);
  expect(before.layout).toBe("peft");
  expect(before.config).toEqual(JSON.parse(await readFile(`${fixtures}bert-lora-peft/adapter_config.json`, "utf8")));
  expect(before.tensors.get("base_model.model.bert.encoder.layer.0.attention.self.query.lora_A.weight")?.shape).toEqual([4, 32]);
  expect(before.head).toBeUndefined();
  expect(before.deft).toBeUndefined();
  expect(files).toEqual(["adapter_config.json", "adapter_model.safetensors", "deft.json"]);
  expect(after).toEqual({ ...before, deft: { density: 1 } });
});

test("AdapterHub's LoRA with its head, written under the names that the library looks for", async () => {
  const { before, after, files } = await roundTrip(`${fixtures}bert-lora-at`);
  expect(before.layout).toBe("adapterhub");
  expect(before.tensors.get("bert.encoder.layer.0.attention.self.query.loras.mytask.lora_B")?.shape).toEqual([32, 4]);
  expect([...(before.head?.tensors.keys() ?? [])].sort()).toEqual(["heads.mytask.1.bias", "heads.mytask.1.weight", "heads.mytask.4.bias", "heads.mytask.4.weight"]);
  expect(files).toEqual(["adapter.safetensors", "adapter_config.json", "deft.json", "head_config.json", "model_head.safetensors"]);
  expect(after).toEqual({ ...before, deft: { density: 1 } });
});

test("AdapterHub's adapter on a model with a head of its own", async () => {
  const { before, after } = await roundTrip(`${fixtures}bert-pfeiffer-at-statichead`);
  expect(before.head?.config["config"]).toBeNull();
  expect([...(before.head?.tensors.keys() ?? [])].sort()).toEqual(["classifier.bias", "classifier.weight"]);
  expect(after).toEqual({ ...before, deft: { density: 1 } });
});

test.skipIf(!existsSync(goldens))("every adapter folder of the goldens comes back equal", async () => {
  let count = 0;
  for (const name of await readdir(goldens)) {
    const path = `${goldens}${name}/adapter`;
    if (!existsSync(`${path}/adapter_config.json`)) continue;
    const { before, after } = await roundTrip(path);
    expect(before.layout, name).toBe(name.includes("-peft") || name.includes("qlora") ? "peft" : "adapterhub");
    expect(after, name).toEqual({ ...before, deft: { density: 1 } });
    await rm(folder.path("round-trip"), { recursive: true });
    count += 1;
  }
  expect(count).toBeGreaterThan(20);
});

describe("what is refused", () => {
  const peft = { peft_type: "LORA", future_key: { a: [1] } };
  const hub = { config: { architecture: "lora" }, model_class: "BertAdapterModel" };
  const x = { name: "x", shape: [1], values: new Float32Array([1]) };

  async function place(name: string, config: unknown, files: string[]): Promise<string> {
    await mkdir(folder.path(name));
    await writeFile(folder.path(name, "adapter_config.json"), JSON.stringify(config));
    for (const file of files) {
      if (file.endsWith(".safetensors")) await writeSafetensors(folder.path(name, file), [x]);
      else await writeFile(folder.path(name, file), "{}");
    }
    return folder.path(name);
  }

  test("pickles, with the remedy", async () => {
    const message = (await expectCode(readAdapterFolder(await place("a", peft, ["adapter_model.bin"])), "checkpoint.pickle")).message;
    expect(message).toContain("adapter_model.safetensors");
    await expectCode(readAdapterFolder(await place("b", hub, ["pytorch_adapter.bin"])), "checkpoint.pickle");
    await expectCode(readAdapterFolder(await place("c", hub, ["adapter.safetensors", "head_config.json", "pytorch_model_head.bin"])), "checkpoint.pickle");
  });
  test("missing files", async () => {
    await expectCode(readAdapterFolder(folder.path("nowhere")), "checkpoint.missing");
    await expectCode(readAdapterFolder(await place("d", peft, [])), "checkpoint.missing");
    await expectCode(readAdapterFolder(await place("e", hub, ["adapter.safetensors", "head_config.json"])), "checkpoint.missing");
  });
  test("a config of neither library", async () => {
    await expectCode(readAdapterFolder(await place("f", { r: 8 }, ["adapter_model.safetensors"])), "checkpoint.layout");
    await expectCode(readAdapterFolder(await place("g", { config: null, model_class: "x" }, [])), "checkpoint.layout");
    await expectCode(readAdapterFolder(await place("h", [], [])), "checkpoint.config");
  });
  test("a write in the wrong layout", async () => {
    await expectCode(writeAdapterFolder(folder.path("i"), { layout: "peft", config: hub, tensors: [x] }), "checkpoint.layout");
    await expectCode(writeAdapterFolder(folder.path("i"), { layout: "peft", config: peft, tensors: [x], head: { config: {}, tensors: [x] } }), "checkpoint.layout");
  });
  test("a write over somebody's folder, but not one over an adapter of the other layout", async () => {
    const path = await place("j", hub, ["pytorch_adapter.safetensors", "head_config.json", "pytorch_model_head.safetensors"]);
    await writeAdapterFolder(path, { layout: "peft", config: peft, tensors: [x], files: { "README.md": "# x" } });
    expect((await readdir(path)).sort()).toEqual(["README.md", "adapter_config.json", "adapter_model.safetensors"]);
    expect((await readAdapterFolder(path)).config).toEqual(peft);
    await writeFile(folder.path("j", "notes.txt"), "mine");
    await expectCode(writeAdapterFolder(path, { layout: "peft", config: peft, tensors: [x] }), "checkpoint.occupied");
  });
});

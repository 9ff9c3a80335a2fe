import { existsSync, mkdtempSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { memorySource, readAdapterFolder } from "@deft-js/checkpoint";
import { MODEL_FAMILY, ops, type BuildOptions, type Kernel, type Model, type NamedArray, type Tokenizer } from "@deft-js/core";
import { createKernel, readAdapters, saveAdapters } from "@deft-js/run";
import { readFixtureJson } from "@deft-js/testkit";
import { beforeAll, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const GOLDENS = join(ROOT, "../shared/goldens");

/** Folders of a peer's adapter beside its base's config.json: those in the repository, and all of the goldens where they are at hand. */
function fixtures(): string[] {
  const plugins = readdirSync(join(ROOT, "plugins")).map((name) => join(ROOT, "plugins", name, "test/fixtures"));
  const folders = [...plugins, GOLDENS].filter(existsSync).flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)));
  return folders.filter((folder) => ["config.json", "adapter/adapter_config.json"].every((file) => existsSync(join(folder, file))));
}

let kernel: Kernel;
beforeAll(async () => {
  kernel = await createKernel({ from: ROOT });
});

async function build(folder: string, options: Omit<BuildOptions, "config" | "rng">): Promise<Model> {
  const config = readFixtureJson(join(folder, "config.json"));
  const family = kernel.contributions(MODEL_FAMILY).map(({ id }) => kernel.create(MODEL_FAMILY, id)).find(({ modelTypes }) => modelTypes.includes(String(config["model_type"])));
  return family!.build({ ...options, config, rng: new ops.Rng(1) });
}

/** What the writer says of the run that it stands in, not of the adapter. */
const WRITERS = new Set(["base_model_name_or_path", "model_name", "model_class", "version"]);
/** What PEFT saves with a classifier without saying so: written out by us. */
const impliedModules = ({ task_type: task }: Readonly<Record<string, unknown>>): string[] | null => (task === "SEQ_CLS" ? ["classifier"] : null);

const bytes = (array: NamedArray | undefined): Buffer => Buffer.from(array?.values.buffer.slice(array.values.byteOffset, array.values.byteOffset + array.values.byteLength) ?? new ArrayBuffer(0));

it.each(fixtures().map((folder) => [folder.slice(folder.lastIndexOf("/plugins/") + 1 || folder.lastIndexOf("/goldens/") + 1), folder]))("%s: what a peer wrote, read and written, is the same tensors and keys", async (_, folder) => {
  const path = join(folder, "adapter");
  const [adapter] = await readAdapters(path, kernel);
  const original = await readAdapterFolder(path);
  const generates = ["t5", "opt"].includes(String(readFixtureJson(join(folder, "config.json"))["model_type"]));
  const head = adapter!.headKind ?? (generates ? "language-model" : "none");
  const options = { head, labels: adapter!.labels, headName: adapter!.name };
  const random = await build(folder, options);
  const model = await build(folder, { ...options, source: memorySource([...random.exportParameters()].map((array) => adapter!.head.get(array.name) ?? array)) });
  const attachment = adapter!.attach(model, new ops.Rng(2));
  const output = join(mkdtempSync(join(tmpdir(), "deft-round-trip-")), "adapter");
  await saveAdapters(output, { model, tokenizer: {} as Tokenizer, source: "base", attachments: [attachment!], metrics: {} }, { layout: adapter!.layout, name: adapter!.name });
  const written = await readAdapterFolder(output);
  expect([...written.tensors.keys()].sort()).toEqual([...original.tensors.keys()].sort());
  for (const [name, array] of original.tensors) {
    expect(written.tensors.get(name)?.shape, name).toEqual(array.shape);
    expect(bytes(written.tensors.get(name)).equals(bytes(array)), name).toBe(true);
  }
  for (const [name, array] of adapter!.head) if (original.head !== undefined) expect(bytes(written.head?.tensors.get(name)).equals(bytes(array)), name).toBe(true);
  for (const [key, value] of Object.entries(original.config)) if (!WRITERS.has(key)) expect(written.config[key], key).toEqual(key === "modules_to_save" ? (value ?? impliedModules(original.config)) : value);
  random.dispose();
  model.dispose();
});

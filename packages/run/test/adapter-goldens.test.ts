import { copyFileSync, cpSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { batchTensors } from "@deft-js/core";
import { readSafetensors } from "@deft-js/checkpoint";
import prefix from "@deft-js/plugin-peft-prefix";
import prompt from "@deft-js/plugin-peft-prompt";
import { createKernel, loadModel } from "@deft-js/run";
import { read, scope } from "@deft-js/tensor";
import { expect, test } from "vitest";
import { tempFolder, writeTokenizer } from "./support/tiny.ts";
import { PLUGINS } from "./support/world.ts";

const GOLDENS = join(import.meta.dirname, "../../../../shared/goldens");
const FOLDERS = [
  "bert-lora-peft", "bert-lora-at", "bert-pfeiffer-at", "bert-pfeiffer-at-statichead", "bert-houlsby-at",
  "bert-prompt-peft", "bert-prefix-peft", "bert-prefixproj-peft", "bert-prefix-at", "bert-prefixflat-at",
];
const present = FOLDERS.filter((name) => existsSync(join(GOLDENS, name, "adapter")));

test.skipIf(present.length === 0).each(present.length === 0 ? ["the goldens are not there"] : present)("%s: the other library's adapter folder, head included, gives its logits", async (name) => {
  const base = tempFolder();
  for (const file of ["config.json", "model.safetensors"]) copyFileSync(join(GOLDENS, name, file), join(base, file));
  cpSync(join(GOLDENS, name, "adapter"), join(base, "adapter"), { recursive: true });
  writeTokenizer(base);
  const { model } = await loadModel(base, { kernel: await createKernel({ plugins: [...PLUGINS, prompt, prefix], discover: false }), adapter: join(base, "adapter") });
  const inputs = JSON.parse(readFileSync(join(GOLDENS, name, "inputs.json"), "utf8")) as Record<string, number[][]>;
  const ids = inputs["input_ids"]!;
  const seq = ids[0]!.length;
  const types = inputs["token_type_ids"];
  const batch = { size: ids.length, seq, inputIds: Int32Array.from(ids.flat()), attentionMask: Float32Array.from(inputs["attention_mask"]!.flat()), ...(types === undefined ? {} : { tokenTypeIds: Int32Array.from(types.flat()) }) };
  const logits = scope(() => read(model.forward(batchTensors(batch)).logits));
  const expected = (await readSafetensors(join(GOLDENS, name, "expected.safetensors"))).tensors.get("logits")!;
  expect(logits.length).toBe(expected.values.length);
  const worst = Math.max(...[...expected.values].map((value, i) => Math.abs(value - logits[i]!)));
  expect(worst).toBeLessThanOrEqual(1e-5 * Math.max(...expected.values.map(Math.abs)));
});

import { existsSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { Kernel } from "@deft-js/core";
import { startKernel } from "../src/kernel.ts";
import { checkFolder } from "../src/parity/main.ts";
import { entryByEntry, holds, relativeToLargest, render } from "../src/parity/report.ts";

const ROOT = join(import.meta.dirname, "../..");
const GOLDENS = join(ROOT, "../shared/goldens");
/** In the repository. */
const KEPT = ["model-bert/test/fixtures/bert-seqcls", "model-bert/test/fixtures/roberta-seqcls", "pruning/test/fixtures/pruning", "model-t5/test/fixtures/t5-relu", "model-t5/test/fixtures/flan-t5-gated", "model-opt/test/fixtures/opt-causal", "model-opt/test/fixtures/opt-postln-proj"].map((path) => join(ROOT, "plugins", path));
/** Beside it, where there are any. */
const PEERS = [
  "numerics", "bert-lora-at", "bert-lora-peft", "bert-pfeiffer-at", "bert-houlsby-at", "bert-pfeiffer-at-statichead",
  "quantization", "bert-qlora-nf4", "t5-qlora-nf4", "traj-bert-peft", "traj-bert-deft-eps1e-3", "traj-bert-deft-eps1e-7",
  "t5-lora-at", "t5-lora-peft", "t5-pfeiffer-at", "t5-houlsby-at",
  "opt-lora-peft",
  "bert-prompt-peft", "bert-prefix-peft", "bert-prefixproj-peft", "bert-prefix-at", "bert-prefixflat-at",
  "t5-prompt-peft", "t5-prompt-peft040", "t5-prefix-peft", "t5-prefixproj-peft", "t5-prefix-at", "t5-prefixflat-at", "opt-prompt-peft",
  "traj-t5-peft", "traj-t5-deft-eps1e-3", "traj-t5-deft-eps1e-7",
].map((name) => join(GOLDENS, name));

for (const backend of ["native", "wasm", "cpu"]) {
  describe(`parity on ${backend}`, () => {
    let kernel: Kernel | undefined;
    let why = "";
    beforeAll(async () => {
      try {
        kernel = (await startKernel(backend)).kernel;
      } catch (error) {
        why = (error as Error).message;
      }
    });
    for (const folder of [...KEPT, ...PEERS]) {
      it(folder.split("/").at(-1) ?? folder, async (context) => {
        if (kernel === undefined) return context.skip(`${backend} does not start: ${why}`);
        if (!existsSync(folder)) return context.skip(`the peers' numbers are not at hand: ${folder}`);
        const lines = await checkFolder(folder, kernel);
        expect(lines.length).toBeGreaterThan(0);
        expect(lines.filter((line) => !holds(line)).map(render)).toEqual([]);
      });
    }
  });
}

describe("the comparison", () => {
  it("never holds for NaN, a wrong length or an error above the tolerance", () => {
    expect(holds({ quantity: "x", error: Number.NaN, tolerance: 1 })).toBe(false);
    expect(holds(relativeToLargest("x", [1, 2], [1], 1))).toBe(false);
    expect(holds(relativeToLargest("x", [1, 2.1], [1, 2], 0.01))).toBe(false);
    expect(holds(entryByEntry("x", [1, 2.1], [1, 2], 0.01, 0))).toBe(false);
    expect(holds(entryByEntry("x", [1, 2.01], [1, 2], 0.01, 0))).toBe(true);
  });
});

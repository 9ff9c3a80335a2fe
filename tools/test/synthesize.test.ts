import { mkdtemp, readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openModelFolder } from "@deft-js/checkpoint";
import { ops } from "@deft-js/core";
import { parseConfig, t5Family, t5Specs } from "@deft-js/plugin-model-t5";
import { describe, expect, it } from "vitest";
import { writeSyntheticCheckpoint } from "../src/synthesize/checkpoint.ts";
import { SHAPES } from "../src/synthesize/shapes.ts";

describe("synthetic checkpoints", () => {
  const config = { ...SHAPES["flan-t5-small"], d_model: 16, d_ff: 24, d_kv: 4, num_layers: 2, num_decoder_layers: 1, num_heads: 2, vocab_size: 50 };
  const specs = t5Specs(parseConfig(config), true);

  it("are sharded folders that load, with the model's own deviations", async () => {
    const folder = await mkdtemp(join(tmpdir(), "synthesize-"));
    const { shards, bytes } = await writeSyntheticCheckpoint({ folder, config, specs, shardBytes: 4000, seed: 1 });
    expect((await readdir(folder)).filter((name) => name.endsWith(".safetensors"))).toHaveLength(shards);
    expect(shards).toBeGreaterThan(2);
    const { config: read, source } = await openModelFolder(folder);
    const model = await t5Family.build({ config: read, head: "language-model", source, rng: new ops.Rng(0) });
    expect([...model.parameters().values()].reduce((sum, { size }) => sum + 2 * size, 0)).toBe(bytes);
    const words = model.parameters().get("shared.weight")!.data();
    expect(Math.abs(Math.sqrt(words.reduce((sum, x) => sum + x * x, 0) / words.length) - 1)).toBeLessThan(0.1);
    expect(new Set(model.parameters().get("encoder.final_layer_norm.weight")!.data())).toEqual(new Set([1]));
    model.dispose();
  });

  it("know the published sizes", () => {
    const count = (shape: string): number => t5Specs(parseConfig(SHAPES[shape]!), true).reduce((sum, { shape: sizes }) => sum + sizes.reduce((n, d) => n * d, 1), 0);
    expect([count("t5-small"), count("t5-base"), count("flan-t5-small"), count("flan-t5-base"), count("flan-t5-large"), count("flan-t5-xl")]).toEqual([60_506_624, 222_903_552, 76_961_152, 247_577_856, 783_150_080, 2_849_757_184]);
  });
});

import { join } from "node:path";
import { densityLoss } from "@deft-js/plugin-density-loss";
import { modelFamilyChecks, modelParityChecks, readFixtureBatch, readFixtureJson, readFixtureTensors } from "@deft-js/testkit";
import { describe, expect, it } from "vitest";
import { relativeBucket, t5Family } from "../src/index.ts";
import { FIXTURES, goldenModel } from "./goldens.ts";

describe.each([
  { name: "t5-relu", countSlack: 1 },
  { name: "flan-t5-gated", countSlack: 0 },
])("parity with transformers 4.26: $name", ({ name, countSlack }) => {
  const folder = join(FIXTURES, name);
  const checks = modelParityChecks({
    load: () => goldenModel(name),
    batch: readFixtureBatch(folder),
    expected: readFixtureTensors(join(folder, "expected.safetensors")),
    gradients: readFixtureTensors(join(folder, "grads.safetensors")),
    density: (epsilon) => densityLoss({ epsilon, padding: "include" }),
    countSlack,
  });
  for (const { name: check, run } of checks) it(check, run);
});

describe("relative position buckets", () => {
  const tables = readFixtureJson(join(FIXTURES, "buckets.json")) as Record<string, number[]>;
  const { rel: distances = [], ...byOptions } = tables;

  it.each(Object.keys(byOptions))("%s, distances −200 to 200", (key) => {
    const [, buckets = "", maxDistance = "", kind] = /^nb(\d+)\.md(\d+)\.(\w+)$/.exec(key) ?? [];
    const options = { buckets: Number(buckets), maxDistance: Number(maxDistance), bidirectional: kind === "bidirectional" };
    expect(distances).toHaveLength(401);
    expect(distances.map((distance) => relativeBucket(distance, options))).toEqual(byOptions[key]);
  });
});

describe.each(["relu", "gated-gelu"])("conformance of %s", (feed_forward_proj) => {
  const batch = readFixtureBatch(join(FIXTURES, "t5-relu"));
  const config = { model_type: "t5", vocab_size: 128, d_model: 16, d_kv: 6, d_ff: 12, num_layers: 2, num_decoder_layers: 1, num_heads: 2, feed_forward_proj, tie_word_embeddings: feed_forward_proj === "relu" };
  for (const { name, run } of modelFamilyChecks({ family: t5Family, config, head: "language-model", batch, padId: 0 })) it(name, run);
});

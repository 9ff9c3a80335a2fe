import { join } from "node:path";
import { batchTensors, generate, ops, type HostBatch, type Model } from "@deft-js/core";
import { demandClose, readFixtureBatch, readFixtureJson, readFixtureTensors } from "@deft-js/testkit";
import { describe, expect, it } from "vitest";
import { FIXTURES, goldenModel } from "./goldens.ts";

const START = 0;
const host = readFixtureBatch(join(FIXTURES, "t5-relu"));

/** The logits of every step along given ids [rows][steps], through the cache. */
function stepLogits(model: Model, ids: readonly (readonly number[])[], batch: HostBatch = host): Float32Array[] {
  return ops.scope(() => {
    const decoding = model.decode!(batchTensors(batch));
    const steps = Array.from({ length: ids[0]!.length }, (_, i) => ops.read(i === 0 ? decoding.begin() : decoding.step(Int32Array.from(ids, (row) => row[i - 1]!))));
    decoding.dispose();
    return steps;
  });
}

describe.each(["t5-relu", "flan-t5-gated"])("%s generates what transformers generates", (name) => {
  const folder = join(FIXTURES, name);
  const expected = readFixtureJson(join(folder, "expected.json")) as { generate_greedy: number[][]; generate_beam2: number[][]; generate_beam2_scores: number[] };
  const withStart = (ids: readonly (readonly number[])[]) => ids.map((row) => [START, ...row, ...Array<number>(8 - row.length).fill(0)]);

  it("greedily, with the logits of every step", async () => {
    const model = await goldenModel(name);
    expect(withStart((await generate(model, host, { maxNewTokens: 8 })).ids)).toEqual(expected.generate_greedy);
    const theirs = readFixtureTensors(join(folder, "expected.safetensors")).get("greedy_step_logits")!.values; // [3, 8, 128]
    for (const [step, actual] of stepLogits(model, expected.generate_greedy.map((row) => row.slice(1))).entries()) {
      const at = Float32Array.from(actual, (_, i) => theirs[(Math.floor(i / 128) * 8 + step) * 128 + (i % 128)]!);
      demandClose({ name: `step ${step}`, actual, expected: at, tolerance: 1e-5, relativeTo: "max" });
    }
    model.dispose();
  });

  it("with two beams", async () => {
    const model = await goldenModel(name);
    const { ids, scores } = await generate(model, host, { maxNewTokens: 8, beams: 2 });
    expect(withStart(ids)).toEqual(expected.generate_beam2);
    for (const [i, score] of expected.generate_beam2_scores.entries()) expect(scores![i]).toBeCloseTo(score, 5);
    model.dispose();
  });

  it("step by step what the whole forward pass computes", async () => {
    const model = await goldenModel(name);
    const ids = [[60, 100, 5, 118], [53, 108, 41, 54], [112, 27, 85, 1]];
    const whole = ops.scope(() => ops.read(model.forward(batchTensors({ ...host, labels: Int32Array.from(ids.flat()), labelSeq: 4 })).logits)); // [3, 4, 128]
    for (const [step, actual] of stepLogits(model, ids).entries()) {
      const at = Float32Array.from(actual, (_, i) => whole[(Math.floor(i / 128) * 4 + step) * 128 + (i % 128)]!);
      demandClose({ name: `step ${step}`, actual, expected: at, tolerance: 1e-5, relativeTo: "max" });
    }
    model.dispose();
  });
});

describe("decoding", () => {
  it("goes on with the rows that are selected, repeated and reordered", async () => {
    const model = await goldenModel("t5-relu");
    ops.scope(() => {
      const decoding = model.decode!(batchTensors(host));
      decoding.begin();
      decoding.step(Int32Array.of(7, 8, 9));
      decoding.select([2, 0, 2]);
      expect(decoding.rows).toBe(3);
      const chosen = ops.read(decoding.step(Int32Array.of(5, 6, 5)));
      decoding.select([1]);
      const one = ops.read(decoding.step(Int32Array.of(4)));
      decoding.dispose();
      const apart = stepLogits(model, [[7, 6, 4, 0], [8, 0, 0, 0], [9, 5, 0, 0]]);
      const row = (values: Float32Array, r: number) => values.subarray(r * 128, (r + 1) * 128);
      for (const [r, from] of [2, 0, 2].entries()) demandClose({ name: `row ${r}`, actual: row(chosen, r), expected: row(apart[2]!, from), tolerance: 1e-5, relativeTo: "max" });
      demandClose({ name: "one row", actual: one, expected: row(apart[3]!, 0), tolerance: 1e-5, relativeTo: "max" });
    });
    model.dispose();
  });

  it("takes wrapped sites in, and prompt rows only where nothing is cached", async () => {
    const model = await goldenModel("t5-relu");
    const before = await generate(model, host, { maxNewTokens: 4 });
    const pasts: number[] = [];
    const prompt = ops.tensor(new ops.Rng(3).normals(2 * 32, 5), [2, 32]);
    const undo = model.sites("embedding", /decoder/)[0]!.wrap((input, base) => {
      pasts.push(input.past ?? 0);
      return base({ ...input, prompt });
    });
    const ids = [[60, 100, 5, 118], [53, 108, 41, 54], [112, 27, 85, 1]];
    const whole = ops.scope(() => ops.read(model.forward(batchTensors({ ...host, labels: Int32Array.from(ids.flat()), labelSeq: 4 })).logits)); // [3, 6, 128]
    pasts.length = 0;
    for (const [step, actual] of stepLogits(model, ids).entries()) {
      const at = Float32Array.from(actual, (_, i) => whole[(Math.floor(i / 128) * 6 + 2 + step) * 128 + (i % 128)]!);
      demandClose({ name: `step ${step}`, actual, expected: at, tolerance: 1e-5, relativeTo: "max" });
    }
    expect(pasts).toEqual([0, 3, 4, 5]);
    expect((await generate(model, host, { maxNewTokens: 4 })).ids).not.toEqual(before.ids);
    undo();
    expect(await generate(model, host, { maxNewTokens: 4 })).toEqual(before);
    model.dispose();
  });

  it("leaves no tensor behind", async () => {
    const model = await goldenModel("flan-t5-gated");
    await generate(model, host, { maxNewTokens: 3, beams: 3 });
    const { tensors } = ops.memory();
    for (const settings of [{ maxNewTokens: 6 }, { maxNewTokens: 6, beams: 3 }, { maxNewTokens: 6, sample: true }]) await generate(model, host, settings);
    expect(ops.memory().tensors).toBe(tensors);
    model.dispose();
  });

  it("needs a head", async () => {
    const model = await goldenModel("t5-relu", { head: "none" });
    await expect(generate(model, host)).rejects.toMatchObject({ code: "model.head" });
    model.dispose();
  });
});

import { batchTensors, evaluationContext, ops, type Artifact, type Attachment, type Meter, type Model, type StageContext } from "@deft-js/core";
import { describe, expect, it } from "vitest";
import { lastValueFrom, of } from "rxjs";
import { gate, gates, gatesMeter, type GatesSettings, type GateSettings } from "../src/index.ts";
import { searchBlocks } from "../src/search.ts";
import { recordingSource, SMALL, type Small } from "./models.ts";

const logits = (model: Model, { batch }: Small): Float32Array => ops.scope(() => ops.read(model.forward(batchTensors(batch), {}, evaluationContext).logits));
const artifactOf = (model: Model, attachments: readonly Attachment[]): Artifact => ({ model, tokenizer: {} as Artifact["tokenizer"], attachments, metrics: {} });
const planned = (settings: GateSettings, artifact: Artifact): Promise<Artifact> => lastValueFrom(of(artifact).pipe(gate(settings).operator({ rng: new ops.Rng(1) } as StageContext)));
const weights = (attachment: Attachment): readonly string[] => (attachment.method.options as { skip: { weights: string[] }[] }).skip.flatMap((block) => block.weights);

/** Scalar gates with these values, in the order of the blocks. */
function withValues(model: Model, values: readonly number[]): Attachment {
  const attachment = gates({ strategy: "scalar" }).attach(model, new ops.Rng(1));
  attachment.loadState(attachment.state().map((array, i) => ({ ...array, values: Float32Array.of(values[i]!) })));
  return attachment;
}

const readings = (model: Model): unknown => {
  const meter: Meter = gatesMeter();
  meter.begin!(model);
  return meter.report()["layers"];
};

describe.each(["BERT", "T5"] as const)("a plan on %s", (name) => {
  const small = SMALL[name];
  const values = name === "BERT" ? [0.5, 0.0625] : [0.5, 0.0625, 2, -0.125];

  it("skips what is at most the threshold; the model computes what it does with those gates at 0, and their matrices are never read again", async () => {
    const model = await small.build();
    const { source, read } = recordingSource(model);
    const next = await planned({ threshold: 0.125 }, artifactOf(model, [withValues(model, values)]));
    const held = next.attachments[0]!;
    const skipped = values.filter((value) => Math.abs(value) <= 0.125).length;
    expect(next.metrics["gate"]).toMatchObject({ strategy: "scalar", threshold: 0.125, skipped, of: values.length, blocks: values.map((value) => ({ gate: value, skipped: Math.abs(value) <= 0.125 })) });
    expect(held.state().map((array) => array.values[0])).toEqual(values.filter((value) => Math.abs(value) > 0.125));
    expect(readings(model)).toMatchObject(values.map((value) => ({ gate: Math.abs(value) > 0.125 ? value : 0, skipped: Math.abs(value) <= 0.125 })));
    const expected = logits(model, small);
    const state = held.state();
    held.detach();
    const zeroed = withValues(model, values.map((value) => (Math.abs(value) > 0.125 ? value : 0)));
    expect(logits(model, small)).toEqual(expected);
    zeroed.detach();
    model.dispose();

    const method = gates(JSON.parse(JSON.stringify(held.method.options)) as GatesSettings);
    const reloaded = await small.build({ source, absent: (path) => method.absent!(path) });
    method.attach(reloaded, new ops.Rng(9)).loadState(state);
    expect(logits(reloaded, small)).toEqual(expected);
    expect(weights(held)).toHaveLength(skipped * (name === "BERT" ? 2 : 3));
    for (const path of weights(held)) expect(read.has(`${path}.weight`), path).toBe(false);
    expect(read.size).toBe(source.names().length - weights(held).length);
    reloaded.dispose();
  });

  it("skips no more blocks than the budget, weakest first", async () => {
    const model = await small.build();
    const once = await planned({ budget: { blocks: 1 } }, artifactOf(model, [withValues(model, values)]));
    expect(once.metrics["gate"]).toMatchObject({ skipped: 1, blocks: values.map((value) => ({ skipped: value === 0.0625 })) });
    const twice = await planned({ budget: { blocks: 1 } }, once);
    expect(twice.metrics["gate-2"]).toMatchObject({ skipped: 2 });
    expect(twice.attachments[0]!.variables).toHaveLength(values.length - 2);
    twice.attachments[0]!.detach();
    model.dispose();
  });
});

it("searches greedily in the order of the gates: what costs too much comes back, the next is tried", async () => {
  const costs: Record<string, number> = { a: 0.004, b: 0.02, c: 0.005, d: 0.002 };
  const out = new Set<string>();
  const stub = {
    readings: () => [["d", 0.9], ["a", 0.1], ["c", -0.3], ["b", 0.2]].map(([path, gate]) => ({ path: path as string, gate: gate as number, stack: "encoder" as const, layer: 0, skipped: false })),
    passOver: (path: string) => (out.add(path), () => void out.delete(path)),
  };
  const measure = (): Promise<number> => Promise.resolve(0.8 - [...out].reduce((sum, path) => sum + costs[path]!, 0));
  const search = (allowed: number, blocks = 4) => searchBlocks(stub, { allowed, blocks, before: 0.8, worse: (now) => 0.8 - now, measure });
  const found = await search(0.01);
  expect(found.trials.map(({ path, skipped }) => [path, skipped])).toEqual([["a", true], ["b", false], ["c", true], ["d", false]]);
  expect(found.after).toBeCloseTo(0.791, 12);
  expect(out.size).toBe(0);
  expect((await search(0.009)).trials.filter(({ skipped }) => skipped)).toHaveLength(2); // exactly spent, rounding aside
  expect((await search(1, 2)).trials).toHaveLength(2);
});

it("says what is missing", async () => {
  const model = await SMALL.BERT.build();
  await expect(planned({ threshold: 0 }, artifactOf(model, []))).rejects.toMatchObject({ code: "gate.gates" });
  const attachment = withValues(model, [1, 1]);
  await expect(planned({ budget: { points: 1 } }, artifactOf(model, [attachment]))).rejects.toMatchObject({ code: "gate.task" });
  attachment.detach();
  expect(readings(model)).toEqual([]);
  expect(() => gates({ strategy: "scalar", skip: [{ path: "no.mlp", weights: [] }] }).attach(model, new ops.Rng(1))).toThrow(expect.objectContaining({ code: "gates.skip" }));
  expect(() => gates({ strategy: "scalar" }).attach({ family: "bare", sites: () => [] } as unknown as Model, new ops.Rng(1))).toThrow(expect.objectContaining({ code: "gates.target" }));
  for (const settings of [{}, { budget: {} }, { budget: { points: 1 }, threshold: 0.1 }, { threshold: -1 }, { budget: { blocks: 1.5 } }]) expect(() => gate(settings), JSON.stringify(settings)).toThrow(expect.objectContaining({ code: "options.invalid" }));
  model.dispose();
});

import { adamW, LOSS_TERM, Kernel, ops, TrainingStep, type Batch, type ForwardResult, type TappedActivation } from "@deft-js/core";
import { lossTermChecks } from "@deft-js/testkit";
import { describe, expect, it } from "vitest";
import { adaDeftPlugin, gatedDensity, gates, type GatesSettings } from "../src/index.ts";
import { markGated } from "../src/presence.ts";
import { SMALL } from "./models.ts";

const batch = {} as Batch;
const progress = { step: 0, totalSteps: 11, epoch: 0 };

/** A forward result of activations whose presences are given, one for each gate around the block. */
function forwardOf(layers: readonly { value: ops.Tensor; presences: readonly ops.Tensor[]; stack?: "encoder" | "decoder" }[]): ForwardResult {
  const activations = layers.map(({ value, presences, stack = "encoder" }, layer): TappedActivation => {
    for (const presence of presences) markGated(value, () => presence);
    return { path: `${stack}.${layer}.act`, stack, layer, value, mask: ops.ones([value.shape[0]!, value.shape[1]!]) };
  });
  return { logits: ops.scalar(0), activations, hiddenStates: [] };
}

describe("gated density, reckoned by hand", () => {
  // with ε = 1: p(1) = 1/2, p(2) = 4/5, p(3) = 9/10
  const layers = () => [
    { value: ops.tensor([1, 3], [1, 1, 2]), presences: [ops.tensor([0.5], [1])] }, // p = .7
    { value: ops.tensor([2], [1, 1, 1]), presences: [ops.tensor([0], [1])] }, // absent
    { value: ops.tensor([1], [1, 1, 1]), presences: [ops.tensor([0.5], [1]), ops.tensor([0.4], [1])], stack: "decoder" as const }, // two gates around one block
  ];
  const value = (settings: Parameters<typeof gatedDensity>[0]): number => ops.scope(() => ops.read(gatedDensity(settings).compute(forwardOf(layers()), batch, progress))[0]!);

  it("weights each block by its gate: an absent one costs none", () => expect(value({ epsilon: 1 })).toBeCloseTo((0.5 * 0.7 + 0) / 2 + 0.2 * 0.5, 6));

  it("charges a cost for a block beside its density", () => expect(value({ epsilon: 1, blockCost: 0.3 })).toBeCloseTo((0.5 * 1 + 0) / 2 + 0.2 * 0.8, 6));

  it("refuses activations without gates", () => {
    const bare = ops.tensor([1], [1, 1, 1]);
    expect(() => gatedDensity().compute(forwardOf([{ value: bare, presences: [] }]), batch, progress)).toThrow(expect.objectContaining({ code: "gated-density.gates", message: expect.stringContaining("encoder.0.act") as string }));
    expect(() => gatedDensity({ weight: -1 })).toThrow(expect.objectContaining({ code: "options.invalid" }));
    expect(new Kernel().use(adaDeftPlugin).create(LOSS_TERM, "gated-density", { weight: 2 }).weightAt(progress)).toBe(2);
  });
});

describe("the contract of loss terms", () => {
  const activation = ops.Variable.from("a", new ops.Rng(1).normals(12, 1), [2, 3, 2]);
  const presence = ops.Variable.from("presence", Float32Array.of(0.7), [1]);
  const forward = (): ForwardResult => forwardOf([{ value: ops.scale(activation.value, 1), presences: [presence.value] }]);
  for (const check of lossTermChecks({ term: () => gatedDensity({ epsilon: 0.5, blockCost: 0.2 }), weightless: () => gatedDensity({ epsilon: 0.5, weight: 0 }), variables: [activation, presence], forward, batch, step: 1e-2, tolerance: 2e-3 })) it(check.name, check.run);
});

const STRATEGIES: readonly GatesSettings[] = [{ strategy: "scalar" }, { strategy: "sigmoid" }, { strategy: "hard-concrete", start: 0.6 }];

for (const [name, { batch: host, build }] of Object.entries(SMALL))
  it.each(STRATEGIES)(`in training on ${name}, a cost far above the task's loss makes every $strategy gate fade`, async (settings) => {
    const model = await build();
    const attachment = gates(settings).attach(model, new ops.Rng(1));
    const start = attachment.state().map(({ values }) => values[0]!);
    const step = new TrainingStep({ model, variables: attachment.variables, losses: [gatedDensity({ weight: 1000, blockCost: 1 })], optimizer: adamW({ learningRate: 0.02, schedule: "constant" }), totalSteps: 5, dropout: new ops.Rng(2) });
    const reports = [];
    for (let i = 0; i < 5; i++) reports.push(await step.step([host]));
    const end = attachment.state().map(({ values }) => values[0]!);
    expect(end.every((theta, i) => theta < start[i]! - 0.05)).toBe(true);
    expect(reports.at(-1)!.tensors).toBe(reports.at(-2)!.tensors);
    step.dispose();
    attachment.detach();
    model.dispose();
  });

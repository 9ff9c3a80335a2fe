import { mean, memory, Rng, scalar, square, type Tensor, type Variable } from "@deft-js/tensor";
import { describe, expect, it } from "vitest";
import { activationLoss, adamW, TrainingStep, type LossTerm, type TrainingStepOptions } from "../src/index.ts";
import { bits, decay, hostBatch, stubModel, type Stub } from "./training-stub.ts";

const plain = adamW({ learningRate: 0.1, weightDecay: 0, schedule: "constant" });

function stepOf(model: Stub, options: Partial<TrainingStepOptions> = {}): TrainingStep {
  return new TrainingStep({ model, variables: model.headParameters(), optimizer: plain, totalSteps: 10, ...options });
}

const near = (variable: Variable, expected: number[]) => {
  for (const [i, value] of variable.data().entries()) expect(value).toBeCloseTo(expected[i]!, 6);
};

describe("TrainingStep", () => {
  it("takes the step that can be computed by hand", async () => {
    const model = stubModel({ vocabulary: 2, identity: true });
    const step = stepOf(model);
    const report = await step.step([hostBatch([{ ids: [0], label: 1 }])]);
    // logits are 0, so the loss is ln 2; dW[0] = db = (½, −½), dW[1] = 0; ‖g‖ = √(4·¼) = 1; Adam's first step is −η·sign g.
    expect(report).toMatchObject({ step: 1, totalSteps: 10, epoch: 0, learningRate: 0.1, tokens: 1, weights: { task: 1 } });
    expect(report.loss).toBeCloseTo(Math.LN2, 6);
    expect(report.terms["task"]).toBe(report.loss);
    expect(report.gradientNorm).toBeCloseTo(1, 6);
    near(model.weight, [-0.1, 0.1, 0, 0]);
    near(model.bias, [-0.1, 0.1]);
  });

  it("weights the terms, by schedule and by command", async () => {
    const model = stubModel({ vocabulary: 2, identity: true });
    model.weight.load(Float32Array.of(1, 1, 0, 0));
    const step = stepOf(model, { losses: [decay(model, ({ step: done }) => done)], optimizer: adamW({ learningRate: 0 }) });
    const batch = [hostBatch([{ ids: [1], label: 0 }])];
    const first = await step.step(batch);
    expect(first.weights).toEqual({ task: 1, decay: 0 });
    expect(first.terms["decay"]).toBeCloseTo(0.5, 6);
    expect(first.loss).toBeCloseTo(Math.LN2, 6);
    expect(first.gradientNorm).toBeCloseTo(1, 6);
    const second = await step.step(batch);
    expect(second.loss).toBeCloseTo(Math.LN2 + 0.5, 6);
    expect(second.gradientNorm).toBeCloseTo(Math.sqrt(1.5), 6); // d mean(W²) = W/2 adds ¼ twice
    step.objective.setWeight("decay", 10);
    expect((await step.step(batch)).loss).toBeCloseTo(Math.LN2 + 5, 5);
    expect(() => step.objective.setWeight("other", 1)).toThrow(/other/);
  });

  it("accumulates micro-batches to the gradient of the whole batch", async () => {
    const rows = [{ ids: [0], label: 1 }, { ids: [1], label: 0 }, { ids: [2], label: 1 }, { ids: [2], label: 0 }];
    const whole = stubModel({ seed: 3 }), parts = stubModel({ seed: 3 });
    const a = await stepOf(whole).step([hostBatch(rows)]);
    const b = await stepOf(parts).step([hostBatch(rows.slice(0, 2)), hostBatch(rows.slice(2))]);
    expect(b.loss).toBeCloseTo(a.loss, 6);
    expect(b.gradientNorm).toBeCloseTo(a.gradientNorm, 6);
    expect(b.tokens).toBe(4);
    near(parts.weight, [...whole.weight.data()]);
  });

  it("counts micro-batches of different size the same", async () => {
    const model = stubModel({ vocabulary: 2, identity: true });
    const report = await stepOf(model).step([hostBatch([{ ids: [0], label: 1 }, { ids: [0], label: 1 }]), hostBatch([{ ids: [1], label: 1 }])]);
    // dW = ½·(½, −½) for each of the two rows, db = (½, −½).
    expect(report.gradientNorm).toBeCloseTo(Math.sqrt(4 / 16 + 0.5), 6);
  });

  it("clips by the norm over all variables", async () => {
    const model = stubModel({ vocabulary: 2, identity: true });
    const step = stepOf(model, { clipNorm: 0.01 });
    const report = await step.step([hostBatch([{ ids: [0], label: 1 }])]);
    expect(report.gradientNorm).toBeCloseTo(1, 6);
    const first = step.state().moments.find(({ name }) => name === "first/bias")!;
    expect(first.values[0]).toBeCloseTo(0.1 * 0.5 * (0.01 / (1 + 1e-6)), 8); // m = (1 − β₁)·g·c/(‖g‖ + 10⁻⁶)
  });

  it("leaves undeclared variables alone", async () => {
    const model = stubModel();
    const table = bits(model.table.data()), bias = bits(model.bias.data());
    await stepOf(model, { variables: [model.weight] }).step([hostBatch([{ ids: [1, 2], label: 0 }])]);
    expect(bits(model.table.data())).toEqual(table);
    expect(bits(model.bias.data())).toEqual(bias);
    expect([model.table.trainable, model.weight.trainable]).toEqual([false, true]);
  });

  it("holds the same tensors after 500 steps as after 10, and none when disposed", async () => {
    const model = stubModel({ dropout: 0.1 });
    const before = memory();
    const step = stepOf(model, { dropout: new Rng(1), clipNorm: 0.1, losses: [decay(model, () => 1)] });
    const batches = [hostBatch([{ ids: [1, 2], label: 0 }]), hostBatch([{ ids: [0], label: 1 }])];
    for (let i = 0; i < 10; i++) await step.step(batches);
    const ten = memory();
    for (let i = 0; i < 490; i++) expect((await step.step(batches)).tensors).toBe(ten.tensors);
    expect(memory()).toEqual(ten);
    step.dispose();
    expect(memory()).toEqual(before);
  });

  it("draws dropout from (step, micro-batch), so that a resumed step is the same", async () => {
    const make = () => stubModel({ dropout: 0.5, seed: 2 });
    const batches = [hostBatch([{ ids: [1, 2], label: 0 }]), hostBatch([{ ids: [1, 2], label: 0 }])];
    const a = make(), b = make(), c = make();
    const whole = stepOf(a, { dropout: new Rng(5) });
    const losses = [];
    for (let i = 0; i < 4; i++) losses.push((await whole.step(batches)).loss);
    const head = stepOf(b, { dropout: new Rng(5) });
    for (let i = 0; i < 2; i++) await head.step(batches);
    const tail = stepOf(c, { dropout: new Rng(5) });
    tail.loadState(head.state());
    expect([(await tail.step(batches)).loss, (await tail.step(batches)).loss]).toEqual(losses.slice(2));
    expect(bits(c.weight.data())).toEqual(bits(a.weight.data()));
  });

  it("drops other elements in every step and micro-batch", async () => {
    const model = stubModel({ dropout: 0.5, vocabulary: 8 });
    const batch = hostBatch([{ ids: [1, 2], label: 0 }, { ids: [3, 4], label: 1 }]);
    const step = stepOf(model, { dropout: new Rng(5), optimizer: adamW({ learningRate: 0, weightDecay: 0 }) });
    const losses = [];
    for (let i = 0; i < 4; i++) losses.push((await step.step([batch])).loss);
    expect(new Set(losses).size).toBe(4);
    const twice = stepOf(model, { dropout: new Rng(5), optimizer: adamW({ learningRate: 0, weightDecay: 0 }) });
    expect((await twice.step([batch, batch])).loss).not.toBe(losses[0]);
  });
});

describe("TrainingStep errors", () => {
  const batch = [hostBatch([{ ids: [0], label: 1 }])];

  it("refuses to train nothing, one path twice, one term name twice, and no batch", async () => {
    const model = stubModel();
    expect(() => stepOf(model, { variables: [] })).toThrow(expect.objectContaining({ code: "training.variables" }));
    expect(() => stepOf(model, { variables: [model.weight, model.weight] })).toThrow(/weight twice/);
    expect(() => stepOf(model, { losses: [{ ...decay(model, () => 1), name: "task" }] })).toThrow(expect.objectContaining({ code: "training.terms" }));
    await expect(stepOf(model).step([])).rejects.toMatchObject({ code: "training.batches" });
  });

  it("names NaN weights at step 1 and changes nothing", async () => {
    const model = stubModel();
    model.table.load(model.table.data().fill(NaN));
    const before = bits(model.weight.data());
    const tensors = memory().tensors;
    const step = stepOf(model);
    await expect(step.step(batch)).rejects.toMatchObject({ code: "training.nonfinite", message: expect.stringMatching(/task = NaN at step 1; .* of weight\./) as string });
    expect(bits(model.weight.data())).toEqual(before);
    expect(step.done).toBe(0);
    step.dispose();
    expect(memory().tensors).toBe(tensors);
  });

  it("names the term that is not finite, and a gradient that is not while the losses are", async () => {
    const model = stubModel();
    const infinite = scalar(Infinity);
    const bad: LossTerm = { name: "bad", taps: {}, weightAt: () => 1, compute: () => infinite };
    await expect(stepOf(model, { losses: [bad] }).step(batch)).rejects.toThrow(/bad = Infinity at step 1; all gradients are finite/);
    infinite.dispose();
    const huge = decay(model, () => 3e38);
    model.weight.load(model.weight.data().fill(1e-10)); // loss 1e-20·3e38 is finite, ‖g‖² is not in float32
    await expect(stepOf(model, { losses: [huge] }).step(batch)).rejects.toThrow(/finite is of weight/);
    await expect(stepOf(model, { losses: [decay(model, () => NaN)] }).step(batch)).rejects.toMatchObject({ code: "training.weight" });
  });

  it("refuses a loss that is not one number", async () => {
    const model = stubModel();
    const vector: LossTerm = { name: "vector", taps: {}, weightAt: () => 1, compute: () => square(model.weight.value) };
    await expect(stepOf(model, { losses: [vector] }).step(batch)).rejects.toThrow(/training: the loss vector must be one number, got shape/);
  });

  it("shows an observer each activation, keeps what it gives until its loss, and lets go of it also where the pass fails", async () => {
    const model = stubModel();
    model.table.trainable = true;
    const computed: LossTerm = { name: "squares", taps: { activations: true }, weightAt: () => 0.5, compute: ({ activations }) => mean(square(activations[0]!.value)) };
    const observed = activationLoss({
      name: "squares",
      weightAt: () => 0.5,
      observer: () => {
        const seen: Tensor[] = [];
        return { observe: ({ value }) => [seen[seen.push(mean(square(value))) - 1]!], loss: () => [...seen.map((values) => ({ values, weight: 1 })), { values: scalar(NaN), weight: 0 }] }; // a part without weight may be NaN: it never comes
      },
    });
    const variables = [model.table, model.weight];
    const reports = [];
    for (const losses of [[computed], [observed]]) reports.push(await stepOf(model, { variables, losses, optimizer: adamW({ learningRate: 0 }) }).step(batch));
    expect(reports[1]!.loss).toBe(reports[0]!.loss);
    expect(reports[1]!.terms).toEqual(reports[0]!.terms);
    expect(reports[1]!.gradientNorm).toBe(reports[0]!.gradientNorm);
    expect(memory().held).toBe(0);
    const silent = await stepOf(model, { variables, losses: [{ ...observed, weightAt: () => 0 }], optimizer: adamW({ learningRate: 0 }) }).step(batch);
    const alone = await stepOf(model, { variables, optimizer: adamW({ learningRate: 0 }) }).step(batch);
    expect(silent.gradientNorm).toBe(alone.gradientNorm);
    expect(silent.terms["squares"]).toBe(reports[0]!.terms["squares"]);
    const { tensors } = memory();
    const failing: Stub = { ...model, loss: () => { throw new Error("no loss"); } };
    await expect(stepOf(failing, { variables, losses: [observed] }).step(batch)).rejects.toThrow("no loss");
    expect(memory().held).toBe(0);
    expect(memory().tensors - tensors).toBeLessThanOrEqual(4); // the optimizer's own moments
  });

  it("refuses an objective without weight", async () => {
    const model = stubModel();
    const step = stepOf(model);
    step.objective.setWeight("task", 0);
    await expect(step.step(batch)).rejects.toMatchObject({ code: "training.weight" });
  });
});

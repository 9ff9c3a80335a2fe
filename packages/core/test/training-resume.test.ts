import { Rng } from "@deft-js/tensor";
import { describe, expect, it } from "vitest";
import { adamW, train, type CheckpointStore, type TrainingOptions } from "../src/index.ts";
import { accuracy, bits, decay, memoryStore, recordedStream, stubModel, stubTask, type Stub } from "./training-stub.ts";

const optimizer = adamW({ learningRate: 0.05, warmupRatio: 0.1 });

function options(model: Stub, given: Partial<TrainingOptions> = {}): TrainingOptions {
  return { model, task: stubTask(22), metrics: accuracy, optimizer, epochs: 3, batchSize: 4, accumulate: 2, clipNorm: 0.5, losses: [decay(model, ({ step }) => 0.01 * step)], evaluateEvery: 2, keep: "best", rng: new Rng(11), ...given };
}

const valuesOf = (model: Stub) => [...bits(model.weight.data()), ...bits(model.bias.data())];

/** Runs until the process "dies": the stream throws inside the loop once the step is done. */
async function killedAt(step: number, store: CheckpointStore, given: Partial<TrainingOptions> = {}): Promise<void> {
  const { stream } = recordedStream();
  const dying = { commands: stream.commands, emit: (event: { type: string; step?: number }) => { if (event.type === "step.completed" && event.step === step) throw new Error("killed"); } };
  await expect(train(options(stubModel({ dropout: 0.3 }), { stream: dying, checkpoints: store, ...given }))).rejects.toThrow("killed");
}

describe("resume", () => {
  it.each([
    ["in the middle of an epoch, saved every step", 5, 1],
    ["after an epoch's end, saved by epochs", 4, "epoch" as const],
    ["at an epoch's last step", 6, 1],
    ["steps after the last save", 8, 3],
    ["before the first save", 1, 3],
  ])("is bit-identical to the uninterrupted run: killed %s", async (_name, step, saveEvery) => {
    const whole = stubModel({ dropout: 0.3 });
    const steps: unknown[] = [];
    const watched = recordedStream((event) => event.type === "step.completed" && steps.push([event.step, event.loss, event.gradientNorm]));
    const uninterrupted = await train(options(whole, { stream: watched.stream, checkpoints: memoryStore() }));

    const store = memoryStore();
    await killedAt(step, store, { saveEvery });
    const saved = JSON.parse(store.states.get("last") ?? `{"step":0}`) as { step: number };
    expect(saved.step).toBeLessThan(step);
    const resumed = stubModel({ dropout: 0.3 });
    const later: unknown[] = [];
    const again = recordedStream((event) => event.type === "step.completed" && later.push([event.step, event.loss, event.gradientNorm]));
    const result = await train(options(resumed, { stream: again.stream, checkpoints: store, saveEvery, resume: true, rng: new Rng(saved.step === 0 ? 11 : 12) }));

    expect(later).toEqual(steps.slice(saved.step));
    expect(valuesOf(resumed)).toEqual(valuesOf(whole));
    expect(result).toMatchObject({ steps: 9, keptStep: uninterrupted.keptStep, best: uninterrupted.best! });
    expect(result.history.map(({ step: at, metrics }) => [at, metrics])).toEqual(uninterrupted.history.map(({ step: at, metrics }) => [at, metrics]));
  });

  it("takes the weights set by command along", async () => {
    const store = memoryStore();
    const { stream } = recordedStream((event, command) => {
      if (event.type !== "step.completed") return;
      if (event.step === 1) command({ type: "set-weight", term: "decay", weight: 0.5 });
      if (event.step === 3) command({ type: "stop", reason: "pause" });
    });
    await train(options(stubModel(), { stream, checkpoints: store }));
    const again = recordedStream();
    const model = stubModel();
    await train(options(model, { stream: again.stream, checkpoints: store, resume: true, maxSteps: 4 }));
    expect(again.events.filter((e) => e.type === "step.completed").map((e) => [e.step, e.weights["decay"]])).toEqual([[4, 0.5]]);
  });

  it("does nothing but restore when the run was complete", async () => {
    const store = memoryStore();
    const first = stubModel();
    await train(options(first, { checkpoints: store }));
    const saves = store.saves.length;
    const second = stubModel({ seed: 5 });
    second.table.load(first.table.data());
    const result = await train(options(second, { checkpoints: store, resume: true }));
    expect(result.steps).toBe(9);
    expect(valuesOf(second)).toEqual(valuesOf(first));
    expect(store.saves.length).toBe(saves);
  });

  it("refuses a state of other data or other variables", async () => {
    const store = memoryStore();
    await train(options(stubModel(), { checkpoints: store, maxSteps: 2 }));
    const resume = (given: Partial<TrainingOptions>) => expect(train(options(stubModel(), { checkpoints: store, resume: true, ...given }))).rejects;
    await resume({ batchSize: 5 }).toMatchObject({ code: "training.resume", message: expect.stringContaining("batchSize must be as it was, 4, got 5") as string });
    await resume({ task: stubTask(23) }).toMatchObject({ code: "training.resume" });
    const model = stubModel();
    await resume({ model, variables: [model.bias] }).toMatchObject({ code: "training.resume", message: expect.stringContaining("weight") as string });
  });
});

describe("checkpoints", () => {
  it("are saved every epoch, at the end, and when best; events say so", async () => {
    const store = memoryStore();
    const { stream, events } = recordedStream();
    await train(options(stubModel(), { checkpoints: store, stream, maxSteps: 7 }));
    expect(store.saves.filter((save) => save.startsWith("last"))).toEqual(["last@3", "last@6", "last@7"]);
    expect(store.saves[0]).toBe("best@2");
    expect(events.filter((e) => e.type === "checkpoint.saved").map((e) => `${e.kind}@${e.step} ${e.path}`)).toEqual(store.saves.map((save) => `${save} memory:${save.split("@")[0]}`));
  });

  it("fail the run when they fail", async () => {
    const store: CheckpointStore = { ...memoryStore(), save: () => Promise.reject(new Error("disk full")) };
    await expect(train(options(stubModel(), { checkpoints: store }))).rejects.toThrow("disk full");
  });

  it("stay as they were when a loss is not finite", async () => {
    const store = memoryStore();
    const model = stubModel();
    const { stream } = recordedStream((event) => event.type === "step.completed" && event.step === 5 && model.table.load(model.table.data().fill(NaN)));
    await expect(train(options(model, { checkpoints: store, stream, saveEvery: 1, evaluateEvery: "never" }))).rejects.toMatchObject({ code: "training.nonfinite", message: expect.stringContaining("at step 6") as string });
    const saved = (await store.load("last"))!;
    expect(saved.step).toBe(5);
    expect(saved.variables.every(({ values }) => values.every(Number.isFinite))).toBe(true);
  });
});

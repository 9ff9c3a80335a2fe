import { memory, Rng } from "@deft-js/tensor";
import { describe, expect, it } from "vitest";
import { adamW, earlyStopping, train, type Attachment, type RunCommand, type RunEvent, type TrainingOptions } from "../src/index.ts";
import { accuracy, bits, countingMeter, decay, memoryStore, recordedStream, stubModel, stubTask, type Stub } from "./training-stub.ts";

const optimizer = adamW({ learningRate: 0.05, warmupRatio: 0.1 });

function options(model: Stub, given: Partial<TrainingOptions> = {}): TrainingOptions {
  return { model, task: stubTask(), metrics: accuracy, optimizer, epochs: 3, batchSize: 4, rng: new Rng(7), ...given };
}

const types = (events: readonly RunEvent[]) => events.map((event) => event.type);

describe("train", () => {
  it("says what happens, in order, with frozen events", async () => {
    const model = stubModel();
    const { stream, events } = recordedStream();
    const result = await train(options(model, { stream, epochs: 2 }));
    const epoch = ["epoch.started", "step.completed", "step.completed", "step.completed", "evaluation.completed"];
    expect(types(events)).toEqual(["training.started", ...epoch, ...epoch]);
    expect(events[0]).toMatchObject({ totalSteps: 6, epochs: 2, trainable: [{ path: "weight", shape: [4, 2] }, { path: "bias", shape: [2] }], trainableParameters: 10, totalParameters: 26 });
    expect(events.every((event) => Object.isFrozen(event))).toBe(true);
    expect(events.filter((e) => e.type === "step.completed").map((e) => [e.step, e.epoch])).toEqual([[1, 0], [2, 0], [3, 0], [4, 1], [5, 1], [6, 1]]);
    expect(result).toMatchObject({ steps: 6, keptStep: 6, stopped: undefined });
    expect(result.history.map(({ step, split, examples }) => [step, split, examples])).toEqual([[3, "dev", 6], [6, "dev", 6]]);
  });

  it("learns, and repeats bit for bit with the same seed alone", async () => {
    const run = async (seed: number) => {
      const model = stubModel({ dropout: 0.2 });
      const result = await train(options(model, { task: stubTask(40, [40]), epochs: 6, rng: new Rng(seed) }));
      return { bits: [...bits(model.weight.data()), ...bits(model.bias.data())], metrics: result.history.at(-1)!.metrics };
    };
    const [a, b, c] = [await run(1), await run(1), await run(2)];
    expect(b).toEqual(a);
    expect(c.bits).not.toEqual(a.bits);
    expect(a.metrics["accuracy"]).toBeGreaterThan(0.7);
  });

  it("lists and trains attachments' variables before the head; `variables` replaces both", async () => {
    const model = stubModel();
    const attachment = { variables: [model.table] } as unknown as Attachment;
    const { stream, events } = recordedStream();
    await train(options(model, { stream, attachments: [attachment], maxSteps: 1 }));
    expect(events[0]).toMatchObject({ trainable: [{ path: "table" }, { path: "weight" }, { path: "bias" }], totalParameters: 26 });
    const other = recordedStream();
    await train(options(model, { stream: other.stream, variables: [model.bias], maxSteps: 1 }));
    expect(other.events[0]).toMatchObject({ trainable: [{ path: "bias" }] });
  });

  it("takes the data in a new order in every epoch, or in the file's", async () => {
    const orders = async (given: Partial<TrainingOptions>) => {
      const task = stubTask();
      const seen: (number[] | undefined)[] = [];
      const batches: typeof task.train.batches = (cut) => {
        seen.push(cut.order && [...new Rng(cut.order.state.seed).permutation(10)]);
        return task.train.batches(cut);
      };
      await train(options(stubModel(), { task: { ...task, train: { ...task.train, batches } }, ...given }));
      return seen;
    };
    const [first, second, third] = await orders({});
    expect(new Set([first, second, third].map(String)).size).toBe(3);
    expect(await orders({})).toEqual([first, second, third]);
    expect(await orders({ shuffle: false })).toEqual([undefined, undefined, undefined]);
  });

  it("leaves no tensor behind", async () => {
    const model = stubModel();
    await train(options(model, { meters: [countingMeter()], keep: "best" }));
    const before = memory();
    await train(options(model, { meters: [countingMeter()], keep: "best" }));
    expect(memory()).toEqual(before);
  });

  it("ends at maxSteps, and evaluates every N steps and at the end, once for a step", async () => {
    const at = async (given: Partial<TrainingOptions>) => (await train(options(stubModel(), given))).history.map(({ step }) => step);
    expect(await at({ epochs: undefined, maxSteps: 5, evaluateEvery: 2 })).toEqual([2, 4, 5]);
    expect(await at({ maxSteps: 4, evaluateEvery: 2 })).toEqual([2, 4]);
    expect(await at({ evaluateEvery: "never" })).toEqual([]);
    expect(await at({ accumulate: 2 })).toEqual([2, 4, 6]); // 3 batches an epoch: a step of two and a step of one
    expect(await at({ task: stubTask(10, [6, 3]), epochs: 1 })).toEqual([3, 3]);
  });

  it("keeps the best state when asked, and the last otherwise", async () => {
    let call = 0;
    const metrics = () => ({ score: [0.5, 0.9, 0.9, NaN][call++ % 4]! });
    const run = async (given: Partial<TrainingOptions>) => {
      call = 0;
      const model = stubModel();
      const result = await train(options(model, { metrics, epochs: 4, ...given }));
      return { result, bits: bits(model.weight.data()) };
    };
    const half = stubModel();
    await train(options(half, { epochs: 4, maxSteps: 6, optimizer: { ...optimizer, create: (v) => optimizer.create(v, 12) } }));
    const best = await run({ keep: "best" });
    expect(best.result).toMatchObject({ steps: 12, keptStep: 6, best: { metric: "score", value: 0.9, step: 6 } });
    expect(best.bits).toEqual(bits(half.weight.data()));
    const last = await run({});
    expect(last.result.keptStep).toBe(12);
    expect(last.bits).not.toEqual(best.bits);
    expect((await run({ mode: "min" })).result.best).toMatchObject({ value: 0.5, step: 3 });
    expect((await run({ metric: "loss" })).result.best!.metric).toBe("loss");
    await expect(run({ metric: "f1" })).rejects.toMatchObject({ code: "training.metric" });
  });

  it("refuses options out of range and an empty split", async () => {
    const bad = (given: Partial<TrainingOptions>) => expect(train(options(stubModel(), given))).rejects;
    await bad({ batchSize: 0 }).toMatchObject({ code: "training.options" });
    await bad({ epochs: undefined }).toMatchObject({ code: "training.options" });
    await bad({ clipNorm: 0 }).toMatchObject({ code: "training.options" });
    for (const [name, value] of [["evaluateEvery", "epochs"], ["saveEvery", "never"], ["keep", "Best"], ["mode", "maximum"]] as const)
      await bad({ [name]: value as never }).toMatchObject({ code: "training.options", message: expect.stringContaining(`${name} must be`) as string });
    await bad({ evaluateEvery: 1.5 }).toMatchObject({ code: "training.options" });
    await bad({ task: stubTask(0) }).toMatchObject({ code: "training.empty" });
    const task = stubTask();
    await bad({ task: { ...task, train: { ...task.train, batches: () => [] } } }).toMatchObject({ code: "training.batches" });
    await bad({ variables: [] }).toMatchObject({ code: "training.variables" });
  });
});

describe("commands", () => {
  const after = (step: number, ...commands: RunCommand[]) =>
    recordedStream((event, command) => {
      if (event.type === "step.completed" && event.step === step) commands.forEach(command);
    });

  it("obeys stop, evaluate, save and set-weight between steps", async () => {
    const model = stubModel();
    const { stream, events } = after(2, { type: "set-weight", term: "decay", weight: 3 }, { type: "set-weight", term: "nothing", weight: 1 }, { type: "evaluate" }, { type: "save" });
    const store = memoryStore();
    await train(options(model, { stream, losses: [decay(model, () => 1)], checkpoints: store, epochs: 1 }));
    expect(events.filter((e) => e.type === "step.completed").map((e) => e.weights["decay"])).toEqual([1, 1, 3]);
    expect(events.filter((e) => e.type === "warning")).toMatchObject([{ message: expect.stringContaining("nothing") as string }]);
    expect(events.filter((e) => e.type === "evaluation.completed").map((e) => e.step)).toEqual([2, 3]);
    expect(store.saves.filter((save) => save.startsWith("last"))).toEqual(["last@2", "last@3"]);
  });

  it("stops with the reason, evaluated and saved", async () => {
    const { stream } = after(2, { type: "stop", reason: "enough" });
    const store = memoryStore();
    const result = await train(options(stubModel(), { stream, checkpoints: store }));
    expect(result).toMatchObject({ steps: 2, stopped: "enough", history: [{ step: 2 }] });
    expect(store.saves).toContain("last@2");
  });

  it("stops before the first step when asked at the start", async () => {
    const { stream } = recordedStream((event, command) => event.type === "training.started" && command({ type: "stop", reason: "no" }));
    expect((await train(options(stubModel(), { stream, evaluateEvery: "never" }))).steps).toBe(0);
  });

  it("hears timers and signals while it runs", async () => {
    const { stream } = recordedStream();
    setTimeout(() => stream.command({ type: "stop", reason: "timer" }), 20);
    const result = await train(options(stubModel(), { stream, epochs: 100_000, evaluateEvery: "never" }));
    expect(result.stopped).toBe("timer");
  });

  it("survives a subscriber that throws", async () => {
    const { stream, events } = recordedStream();
    let thrown = 0;
    stream.events.subscribe((event) => {
      if (event.type !== "step.completed") return;
      thrown++;
      throw new Error("broken plot");
    });
    const result = await train(options(stubModel(), { stream }));
    await new Promise((resolve) => setTimeout(resolve, 5)); // what it throws comes out on a timer
    expect([result.steps, thrown]).toEqual([9, 9]);
    expect(events.filter((e) => e.type === "step.completed").length).toBe(9);
  });
});

describe("earlyStopping", () => {
  const scored = (scores: readonly number[]) => {
    let call = 0;
    return () => ({ score: scores[call++]! });
  };
  const run = async (scores: readonly number[], given: Partial<Parameters<typeof earlyStopping>[0]> = {}) => {
    const { stream } = recordedStream();
    const undo = earlyStopping({ metric: "score", patience: 2, ...given }).connect({ events: stream.events, command: (command) => stream.command(command) });
    const result = await train(options(stubModel(), { stream, metrics: scored(scores), epochs: scores.length, evaluateEvery: "epoch" }));
    undo();
    return result.history.length;
  };

  it("stops after `patience` evaluations without improvement", async () => {
    expect(await run([0.1, 0.2, 0.2, 0.3, 0.3, 0.1, 0.9])).toBe(6);
    expect(await run([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])).toBe(6);
    expect(await run([0.1, 0.2, 0.3, 0.4], { minDelta: 0.15 })).toBe(4); // 0.3 − 0.1 is an improvement again
    expect(await run([0.1, 0.15, 0.2, 0.9], { minDelta: 0.15 })).toBe(3);
    expect(await run([0.1, 0.2, 0.3, 0.4], { mode: "min" })).toBe(3);
    expect(await run([NaN, NaN, 1])).toBe(2);
  });

  it("counts on over a resume, and stops a run that had stopped", async () => {
    const history = [0.5, 0.4, 0.3].map((score, i) => ({ type: "evaluation.completed" as const, time: 0, step: i, split: "dev", examples: 1, metrics: { score }, reports: {} }));
    expect(await run([0.1, 0.1, 0.1], { history: history.slice(0, 2) })).toBe(1);
    const commands: RunCommand[] = [];
    const { stream } = recordedStream();
    earlyStopping({ metric: "score", patience: 2, history }).connect({ events: stream.events, command: (command) => commands.push(command) });
    const started = { type: "training.started", time: 0, totalSteps: 1, epochs: 1, trainable: [], trainableParameters: 0, totalParameters: 0 } as const;
    stream.emit(started);
    expect(commands).toMatchObject([{ type: "stop" }]);
    stream.emit(started); // the next training of the run starts afresh
    expect(commands.length).toBe(1);
  });

  it("refuses a patience below 1", () => {
    expect(() => earlyStopping({ metric: "score", patience: 0 })).toThrow(/patience/);
  });
});

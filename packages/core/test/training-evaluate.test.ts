import { memory, reshape } from "@deft-js/tensor";
import { describe, expect, it } from "vitest";
import { evaluate, predict, type Meter, type Model, type Predictions, type Split } from "../src/index.ts";
import { tokenLoss } from "../src/index.ts";
import { accuracy, countingMeter, recordedStream, stubModel, stubSplit } from "./training-stub.ts";

const rows = [{ ids: [0], label: 0 }, { ids: [1], label: 1 }, { ids: [0], label: 1 }];

function known() {
  const model = stubModel({ vocabulary: 2, identity: true, dropout: 0.5 });
  model.weight.load(Float32Array.of(1, 0, 0, 2));
  return model;
}

describe("evaluate", () => {
  it("gives metrics, the mean loss over examples and the meters' reports, without dropout", async () => {
    const { stream, events } = recordedStream();
    const meter = countingMeter();
    const result = await evaluate({ model: known(), split: stubSplit("dev", rows), metrics: accuracy, meters: [meter], batchSize: 2, labels: ["a", "b"], stream, step: 7 });
    expect(result.metrics["accuracy"]).toBeCloseTo(2 / 3, 12);
    const losses = [Math.log(1 + Math.exp(-1)), Math.log(1 + Math.exp(-2)), Math.log(1 + Math.exp(1))];
    expect(result.metrics["loss"]).toBeCloseTo((losses[0]! + losses[1]! + losses[2]!) / 3, 6);
    expect(Object.keys(result.metrics)[0]).toBe("accuracy");
    expect(result).toMatchObject({ type: "evaluation.completed", step: 7, split: "dev", examples: 3, reports: { count: { seen: 6 } } });
    expect(events).toEqual([result]);
    const again = await evaluate({ model: known(), split: stubSplit("dev", rows), meters: [meter] });
    expect(again.reports).toEqual({ count: { seen: 6 } });
    expect(Object.keys(again.metrics)).toEqual(["loss"]);
  });

  it("names a head that is too narrow for the classes before the loss refuses their labels", async () => {
    const wide = stubSplit("dev", [{ ids: [0], label: 2 }]);
    await expect(evaluate({ model: known(), split: wide, metrics: accuracy, labels: ["a", "b", "c"] })).rejects.toMatchObject({ code: "evaluation.labels" });
  });

  it("shows activations to meters that observe them, undoes what began when another fails, and keeps no meter's own object", async () => {
    const seen: string[] = [];
    const own = { n: 0 };
    const observing: Meter = { ...countingMeter(), id: "observing", taps: { observe: ({ path }) => void seen.push(path) }, report: () => own, add: () => void own.n++ };
    await evaluate({ model: known(), split: stubSplit("dev", rows), meters: [observing], stream: recordedStream().stream });
    await evaluate({ model: known(), split: stubSplit("dev", rows), meters: [observing], stream: recordedStream().stream });
    expect([seen[0], own.n]).toEqual(["stub.act", 2]);
    const ended: string[] = [];
    const begun = (id: string, begin: NonNullable<Meter["begin"]>): Meter => ({ ...countingMeter(), id, begin });
    const failing = begun("b", () => { throw new Error("no"); });
    await expect(evaluate({ model: known(), split: stubSplit("dev", rows), meters: [begun("a", () => () => void ended.push("a")), failing] })).rejects.toThrow("no");
    expect(ended).toEqual(["a"]);
  });

  it("refuses two meters of one id, whose reports would take each other's place", async () => {
    await expect(evaluate({ model: known(), split: stubSplit("dev", rows), meters: [countingMeter(), countingMeter()] })).rejects.toMatchObject({ code: "evaluation.meters", message: "evaluate: each meter must have an id of its own, got count twice. Measure them in two evaluations." });
  });

  it("leaves no tensor behind, even when it fails", async () => {
    const model = known();
    const before = memory();
    await evaluate({ model, split: stubSplit("dev", rows), metrics: accuracy });
    await expect(evaluate({ model, split: stubSplit("dev", rows), metrics: () => { throw new Error("no"); } })).rejects.toThrow("no");
    await expect(evaluate({ model, split: stubSplit("dev", rows), metrics: accuracy, labels: ["a"] })).rejects.toMatchObject({ code: "evaluation.labels" });
    expect(memory()).toEqual(before);
  });

  it("refuses NaN weights and an empty split", async () => {
    const model = known();
    await expect(evaluate({ model, split: stubSplit("dev", []) })).rejects.toMatchObject({ code: "evaluation.empty" });
    model.table.load(Float32Array.of(1, 0, 0, NaN));
    await expect(evaluate({ model, split: stubSplit("dev", rows), batchSize: 1 })).rejects.toMatchObject({ code: "evaluation.nonfinite", message: expect.stringContaining("split dev, in the batch from row 1") as string });
    await expect(predict({ model, split: stubSplit("dev", rows) })).rejects.toMatchObject({ code: "evaluation.nonfinite" });
  });
});

describe("predict", () => {
  it("gives logits and labels in the split's order", async () => {
    const { logits, width, labels } = await predict({ model: known(), split: stubSplit("dev", rows), batchSize: 2 });
    expect([...logits]).toEqual([1, 0, 0, 2, 1, 0]);
    expect([width, [...labels]]).toEqual([2, [0, 1, 1]]);
  });

  it("needs no labels, and takes scores of regressions", async () => {
    const bare: Split = { name: "text", size: 1, batches: () => [{ size: 1, seq: 1, inputIds: Int32Array.of(1), attentionMask: Float32Array.of(1) }] };
    expect((await predict({ model: known(), split: bare })).labels.length).toBe(0);
    const scored: Split = { ...bare, batches: () => [{ size: 1, seq: 1, inputIds: Int32Array.of(1), attentionMask: Float32Array.of(1), scores: Float32Array.of(2.5) }] };
    expect([...(await predict({ model: known(), split: scored })).labels]).toEqual([2.5]);
  });
});

describe("token heads", () => {
  /** Logits [1, 3, 2] whose first position is a prompt's. */
  function tokenModel(head: Model["head"]): Model {
    const model = stubModel({ vocabulary: 3, labels: 6, identity: true });
    model.bias.load(Float32Array.of(9, 9, 0, 1, 3, 0));
    const forward: Model["forward"] = (batch, taps, context) => {
      const result = model.forward(batch, taps, context);
      return { ...result, logits: reshape(result.logits, [batch.size, 3, 2]) };
    };
    return { ...model, head, forward, loss: (result, batch) => tokenLoss(result.logits, batch) };
  }
  const split: Split = {
    name: "dev", size: 2,
    batches: () => [{ size: 2, seq: 2, labelSeq: 2, inputIds: new Int32Array(4), attentionMask: new Float32Array(4).fill(1), labels: Int32Array.of(1, -100, -100, 1) }],
  };

  it("keeps the rows whose label counts, and means the loss over them", async () => {
    let seen: Predictions | undefined;
    const result = await evaluate({ model: tokenModel("masked-language-model"), split, metrics: (p) => ((seen = p), accuracy(p)) });
    expect([[...seen!.logits], [...seen!.labels], seen!.width]).toEqual([[0, 1, 3, 0], [1, 1], 2]);
    expect(result.metrics["accuracy"]).toBe(0.5);
    expect(result.metrics["loss"]).toBeCloseTo((Math.log(1 + Math.exp(-1)) + Math.log(1 + Math.exp(3))) / 2, 6);
  });

  it("refuses metrics of a language model, but gives its loss", async () => {
    const model = tokenModel("language-model");
    await expect(evaluate({ model, split, metrics: accuracy })).rejects.toMatchObject({ code: "evaluation.metrics" });
    expect(Object.keys((await evaluate({ model, split })).metrics)).toEqual(["loss"]);
  });
});

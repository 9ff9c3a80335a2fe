import { scope, tensor, zeros } from "@deft-js/tensor";
import { describe, expect, it } from "vitest";
import { evaluate, formOf, generate, type Batch, type Decoding, type HostBatch, type Model, type Split } from "../src/index.ts";
import { accuracy, countingMeter } from "./training-stub.ts";

/** A model that answers each row's first id with that id + 1, then with the end token 0; its loss is 0.5. */
function successorModel(stack: "encoder" | "decoder"): Model {
  const decode = (batch: Batch): Decoding => {
    let rows = [...(batch.inputIds.dataSync() as Int32Array)].filter((_, i) => i % batch.seq === batch.seq - 1);
    let first = true;
    const logits = () => {
      const chosen = rows.map((id) => (first ? id + 1 : 0));
      first = false;
      return scope(() => tensor(chosen.flatMap((id) => Array.from({ length: 10 }, (_, i) => (i === id ? Math.log(9) : 0))), [rows.length, 10]));
    };
    return { get rows() { return rows.length; }, begin: logits, step: logits, select: (chosen) => void (rows = chosen.map((i) => rows[i]!)), dispose: () => undefined };
  };
  return {
    family: "successor", config: { eos_token_id: 0 }, head: "language-model", decode,
    sites: () => [{ stack }],
    forward: (batch: Batch) => ({ logits: zeros([batch.size, 1, 10]), activations: [], hiddenStates: [] }),
    loss: () => tensor([0.5], [1]),
  } as unknown as Model;
}

/** Rows of one id each; asks for the forms that it was read in. */
function textSplit(ids: readonly number[], forms: (string | undefined)[] = []): Split {
  return {
    name: "dev",
    size: ids.length,
    *batches({ batchSize, form }) {
      forms.push(form);
      for (let i = 0; i < ids.length; i += batchSize) {
        const rows = ids.slice(i, i + batchSize);
        yield { size: rows.length, seq: 1, inputIds: Int32Array.from(rows), attentionMask: new Float32Array(rows.length).fill(1), labels: new Int32Array(rows.length), labelSeq: 1 } satisfies HostBatch;
      }
    },
    generation: { options: { maxNewTokens: 4, scores: true }, metrics: (rows) => ({ right: rows.filter((row, i) => row.ids[0] === ids[i]! + 1 && row.ids[1] === 0).length / ids.length, score: rows[0]!.score! }) },
  };
}

describe("evaluation by generation", () => {
  it("scores what is generated for every row, in order, and meters the teacher-forced pass", async () => {
    const forms: (string | undefined)[] = [];
    let met = 0;
    const result = await evaluate({ model: successorModel("encoder"), split: textSplit([1, 2, 3], forms), batchSize: 2, metrics: accuracy, meters: [{ ...countingMeter(), add: () => void met++, report: () => ({ met }) }] });
    expect(result.reports).toEqual({ count: { met: 2 } });
    expect(Object.keys(result.metrics)).toEqual(["right", "score", "loss"]); // the first decides what is best
    expect(result.metrics["right"]).toBe(1);
    expect(result.metrics["score"]).toBeCloseTo(Math.log(0.5), 5); // two tokens of probability 9/18 each: (2·ln ½)/2
    expect(result.metrics["loss"]).toBeCloseTo(0.5, 6);
    expect(forms).toEqual(["pairs", "pairs"]);
  });

  it("gives decoders one row for both texts, and prompts to go on from", async () => {
    const forms: (string | undefined)[] = [];
    await evaluate({ model: successorModel("decoder"), split: textSplit([1], forms) });
    expect(forms).toEqual(["causal", "prompts"]);
    expect(formOf(successorModel("decoder"))).toBe("causal");
    expect(formOf({ ...successorModel("decoder"), head: "none" })).toBe("pairs");
  });

  it("still refuses metrics of logits where there is no text to score", async () => {
    const { generation: _, ...plain } = textSplit([1]);
    await expect(evaluate({ model: successorModel("encoder"), split: plain, metrics: accuracy })).rejects.toMatchObject({ code: "evaluation.metrics" });
  });
});

describe("scores of greedy generation", () => {
  it("are given only when asked for", async () => {
    const [batch] = [...textSplit([1]).batches({ batchSize: 1 })];
    expect((await generate(successorModel("encoder"), batch!, { maxNewTokens: 2 })).scores).toBeUndefined();
    const { scores } = await generate(successorModel("encoder"), batch!, { maxNewTokens: 2, scores: true, lengthPenalty: 0 });
    expect(scores![0]).toBeCloseTo(2 * Math.log(0.5), 5);
  });
});

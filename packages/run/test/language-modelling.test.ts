import { makeSplit } from "@deft-js/data";
import { Rng } from "@deft-js/tensor";
import { letterTokenizer } from "@deft-js/testkit";
import { describe, expect, it } from "vitest";
import { causalSplit, spanCorruptedSplit } from "../src/index.ts";

const SENTINEL = 70_000;
/** Letters, with the sentinels <extra_id_0> … <extra_id_9> as 70000 … 70009. */
const tokenizer = { ...letterTokenizer, ids: (text: string) => (/^<extra_id_\d>$/.test(text) ? [SENTINEL + Number(text[10])] : letterTokenizer.ids(text)) };
const row = (length: number, first = 100): number[] => Array.from({ length }, (_, i) => first + i);
const split = (rows: number[][]) => makeSplit({ name: "train", padId: 0, examples: rows.map((inputIds) => ({ inputIds: [...inputIds, 1], label: 0 })) });
const corrupted = (rows: number[][], more = {}) => spanCorruptedSplit(split(rows), { tokenizer, probability: 0.15, meanSpan: 3, rng: new Rng(1), ...more });

describe("span corruption", () => {
  it("hides round(n·p) tokens in round(that/mean) spans, and every token stands once in inputs or labels", () => {
    const [batch] = [...corrupted([row(40), row(20, 200)]).batches({ batchSize: 2 })];
    for (const [r, { n, hidden, spans, first }] of [{ n: 40, hidden: 6, spans: 2, first: 100 }, { n: 20, hidden: 3, spans: 1, first: 200 }].entries()) {
      const input = [...batch!.inputIds.subarray(r * batch!.seq, (r + 1) * batch!.seq)].filter((_, i) => batch!.attentionMask[r * batch!.seq + i] === 1);
      const target = [...batch!.labels!.subarray(r * batch!.labelSeq!, (r + 1) * batch!.labelSeq!)].filter((id) => id !== -100);
      expect([input.at(-1), target.at(-1)]).toEqual([1, 1]);
      expect(input.filter((id) => id >= SENTINEL)).toEqual(row(spans, SENTINEL));
      expect(target.filter((id) => id >= SENTINEL)).toEqual(row(spans, SENTINEL));
      expect([input[0]! < SENTINEL, target[0]]).toEqual([true, SENTINEL]); // a span never begins a row; the labels begin with a sentinel
      expect(target.filter((id) => id > 1 && id < SENTINEL)).toHaveLength(hidden);
      const back = input.flatMap((id) => {
        if (id < SENTINEL) return id === 1 ? [] : [id];
        const from = target.indexOf(id) + 1;
        const length = target.slice(from).findIndex((other) => other >= SENTINEL || other === 1);
        return target.slice(from, from + length);
      });
      expect(back).toEqual(row(n, first));
    }
  });

  it("hides one token of two, and nothing of one", () => {
    const [two] = [...corrupted([row(2)]).batches({ batchSize: 1 })];
    expect([[...two!.inputIds], [...two!.labels!]]).toEqual([[100, SENTINEL, 1], [SENTINEL, 101, 1]]);
    const [one] = [...corrupted([row(1)]).batches({ batchSize: 1 })];
    expect([[...one!.inputIds], [...one!.labels!]]).toEqual([[100, 1], [1]]);
  });

  it("is the same for every pass in file order, another in every shuffled one, and goes on where it was left", () => {
    const made = corrupted([row(40), row(40, 200), row(40, 300)]);
    const pass = (order?: Rng, skip?: number) => [...made.batches({ batchSize: 1, order, skip })].map(({ inputIds }) => inputIds.join());
    expect(pass()).toEqual(pass());
    expect(pass(new Rng(2))).toEqual(pass(new Rng(2)));
    expect(pass(new Rng(2)).sort()).not.toEqual(pass(new Rng(3)).sort());
    expect(pass(new Rng(2), 1)).toEqual(pass(new Rng(2)).slice(1));
  });

  it("needs sentinels and an end token", () => {
    expect(() => corrupted([row(9)], { tokenizer: letterTokenizer })).toThrow(expect.objectContaining({ code: "pretrain.sentinel" }));
    expect(() => corrupted([row(9)], { tokenizer: { ...tokenizer, special: () => undefined } })).toThrow(expect.objectContaining({ code: "tokenizer.eos" }));
  });
});

describe("causal language modelling", () => {
  it("labels every token but the first of a row, and no padding", () => {
    const [batch] = [...causalSplit(split([row(3), row(1, 200)])).batches({ batchSize: 2 })];
    expect([...batch!.labels!]).toEqual([-100, 101, 102, 1, -100, 1, -100, -100]);
    expect(batch!.labelSeq).toBe(4);
    expect([...batch!.inputIds]).toEqual([100, 101, 102, 1, 200, 1, 0, 0]);
  });
});

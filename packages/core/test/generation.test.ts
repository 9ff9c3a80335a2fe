import { memory, scope, tensor } from "@deft-js/tensor";
import { firstValueFrom, lastValueFrom, map, take, toArray } from "rxjs";
import { describe, expect, it } from "vitest";
import { generate, generateTokens, type Batch, type Decoding, type GenerationSettings, type HostBatch, type Model } from "../src/index.ts";

/** What follows what: probabilities of the tokens 0 … n−1 by the tokens generated so far. Token 0 ends a sequence. */
type Chain = (row: number, ids: readonly number[]) => readonly number[];

interface Watch {
  /** Rows of each call. */
  readonly rows: number[];
  disposed: number;
}

/** A model whose logits are the logarithms of a chain's probabilities. */
function chainModel(chain: Chain, watch: Watch = { rows: [], disposed: 0 }): Model {
  const decode = (batch: Batch): Decoding => {
    let histories = Array.from({ length: batch.size }, (_, row) => ({ row, ids: [] as number[] }));
    const logits = () => {
      watch.rows.push(histories.length);
      const rows = histories.map(({ row, ids }) => chain(row, ids).map(Math.log));
      return scope(() => tensor(rows.flat(), [rows.length, rows[0]!.length]));
    };
    return {
      get rows() {
        return histories.length;
      },
      begin: logits,
      step(ids) {
        expect(ids).toHaveLength(histories.length);
        histories = histories.map(({ row, ids: before }, i) => ({ row, ids: [...before, ids[i]!] }));
        return logits();
      },
      select: (rows) => void (histories = rows.map((row) => histories[row]!)),
      dispose: () => void watch.disposed++,
    };
  };
  return { family: "chain", config: { eos_token_id: 0 }, head: "language-model", decode } as Partial<Model> as Model;
}

const host = (size: number): HostBatch => ({ size, seq: 1, inputIds: new Int32Array(size), attentionMask: new Float32Array(size).fill(1) });
const ids = async (chain: Chain, settings: GenerationSettings = {}, size = 1) => (await generate(chainModel(chain), host(size), settings)).ids;

describe("greedy", () => {
  it("takes the likeliest token, the first of equals, until the end token", async () => {
    const chain: Chain = (_, { length }) => [[0.1, 0.45, 0.45], [0.3, 0.3, 0.4], [0.5, 0.2, 0.3]][length]!;
    expect(await ids(chain)).toEqual([[1, 2, 0]]);
    expect(await ids(chain, { maxNewTokens: 2 })).toEqual([[1, 2]]);
    expect(await ids(chain, { minNewTokens: 3, maxNewTokens: 3 })).toEqual([[1, 2, 2]]);
    expect(await ids(chain, { eos: 2 })).toEqual([[1, 2]]);
    expect(await ids(chain, { eos: [], maxNewTokens: 3 })).toEqual([[1, 2, 0]]);
  });

  it("lets rows that end leave the batch and the others go on", async () => {
    const watch: Watch = { rows: [], disposed: 0 };
    const chain: Chain = (row, { length }) => (length > row ? [1, 0, 0, 0] : [0, ...[0, 1, 2].map((i) => (i === row ? 1 : 0))]);
    expect((await generate(chainModel(chain, watch), host(3))).ids).toEqual([[1, 0], [2, 2, 0], [3, 3, 3, 0]]);
    expect(watch).toEqual({ rows: [3, 3, 2, 1], disposed: 1 });
  });
});

/** 1 is likelier first, but 2 leads to a certain end. */
const garden: Chain = (_, seen) => (seen.length === 0 ? [0, 0.6, 0.4] : seen.length === 1 ? (seen[0] === 1 ? [0.4, 0.3, 0.3] : [0.95, 0.03, 0.02]) : [0.9, 0.05, 0.05]);

describe("beam search, reckoned by hand", () => {
  it("finds the sequence that greedy misses", async () => {
    expect(await ids(garden, { maxNewTokens: 2 })).toEqual([[1, 0]]);
    const { ids: found, scores } = await generate(chainModel(garden), host(1), { beams: 2, maxNewTokens: 2 });
    expect(found).toEqual([[2, 0]]); // 0.4·0.95 = 0.38 against 0.6·0.4 = 0.24
    expect(scores![0]).toBeCloseTo(Math.log(0.38) / 2, 6); // the start token counts, the end token does not
  });

  it("divides by length to the penalty", async () => {
    const chain: Chain = (_, seen) => (seen.length === 0 ? [0.5, 0.5] : seen.length === 1 ? [0.9, 0.1] : [0.98, 0.02]);
    // [0]: log 0.5 / 1; [1, 0]: log 0.45 / 2^p
    expect(await ids(chain, { beams: 2, lengthPenalty: 0, maxNewTokens: 3 })).toEqual([[0]]);
    expect(await ids(chain, { beams: 2, lengthPenalty: 1, maxNewTokens: 3 })).toEqual([[1, 0]]);
  });

  it("stops early where it may, and otherwise looks on while an open beam could win", async () => {
    // [0] and [2, 0] have ended after two steps, with ln 0.3 / 1 and ln 0.24 / 4; [2, 2, 0] comes to ln 0.32 / 9
    const chain: Chain = (_, seen) => (seen.length === 0 ? [0.3, 0.1, 0.6] : seen.length > 1 ? [0.97, 0.01, 0.02] : seen[0] === 2 ? [0.4, 0.05, 0.55] : [0.1, 0.5, 0.4]);
    const settings = { beams: 2, lengthPenalty: 2, maxNewTokens: 4 };
    expect(await ids(chain, { ...settings, earlyStopping: true })).toEqual([[2, 0]]);
    expect(await ids(chain, settings)).toEqual([[2, 2, 0]]);
  });

  it("searches every example apart and drops those that are done", async () => {
    const watch: Watch = { rows: [], disposed: 0 };
    const chain: Chain = (row, seen) => (row === 0 ? [0.98, 0.01, 0.01] : garden(row, seen));
    const { ids: found } = await generate(chainModel(chain, watch), host(2), { beams: 2, maxNewTokens: 4 });
    expect(found[1]).toEqual([2, 0]);
    expect(found[0]).toEqual([0]);
    expect(watch.rows[0]).toBe(2);
    expect(watch.rows[1]).toBe(4);
    expect(watch.disposed).toBe(1);
  });

  it("keeps as many beams where several tokens end a sequence", async () => {
    // the two best continuations of [3] end, as does the third; the fourth and fifth go on
    const chain: Chain = (_, seen) => (seen.length === 0 ? [0, 0, 0, 0.5, 0.3, 0.2] : seen.length === 1 ? [0.2, 0.19, 0.18, 0.17, 0.16, 0.1] : seen[1] === 4 ? [0, 0, 0, 0, 0, 1] : [0.5, 0.1, 0.1, 0.1, 0.1, 0.1]);
    const settings = { beams: 2, eos: [0, 1, 2], maxNewTokens: 12, lengthPenalty: 2 };
    const { ids: found } = await generate(chainModel(chain), host(1), settings);
    expect(found[0]!.slice(0, 3)).toEqual([3, 4, 5]);
  });

  it("does not take the end token before its time", async () => {
    const found = await ids(garden, { beams: 2, minNewTokens: 2, maxNewTokens: 3 });
    expect(found[0]).toHaveLength(3);
    expect(found[0]!.at(-1)).toBe(0);
  });
});

describe("sampling", () => {
  const dice: Chain = () => [0.1, 0.2, 0.3, 0.4];
  const shares = async (settings: GenerationSettings) => {
    const drawn = (await ids(dice, { sample: true, eos: [], maxNewTokens: 300, ...settings }, 6)).flat();
    return [0, 1, 2, 3].map((id) => drawn.filter((other) => other === id).length / drawn.length);
  };

  it("draws by probability, temperature, top-k and top-p", async () => {
    const close = (found: number[], expected: number[]) => expected.forEach((share, i) => expect(Math.abs(found[i]! - share)).toBeLessThan(0.04));
    close(await shares({}), [0.1, 0.2, 0.3, 0.4]);
    close(await shares({ temperature: 0.5 }), [1, 4, 9, 16].map((w) => w / 30));
    close(await shares({ topK: 2 }), [0, 0, 3 / 7, 4 / 7]);
    close(await shares({ topP: 0.6 }), [0, 0, 3 / 7, 4 / 7]); // 0.4 alone is less than 0.6, 0.4 + 0.3 is not
    close(await shares({ topP: 0.75 }), [0, 2 / 9, 3 / 9, 4 / 9]);
    expect((await shares({ topK: 2 }))[0]).toBe(0);
  });

  it("depends on the seed and the row, not on who shares the batch", async () => {
    const settings = { sample: true, eos: [], maxNewTokens: 12, seed: 5 };
    const [first, second] = await ids(dice, settings, 2);
    expect(await ids(dice, settings)).toEqual([first]);
    expect(second).not.toEqual(first);
    expect(await ids(dice, { ...settings, seed: 6 })).not.toEqual([first]);
  });
});

describe("streaming", () => {
  const chain: Chain = (_, { length }) => [[0, 1, 0], [0, 0, 1], [1, 0, 0]][length]!;

  it("emits every step's tokens, anew for every subscriber", async () => {
    const stream = generateTokens(chainModel(chain), host(2)).pipe(map(({ step, tokens }) => [step, ...tokens.map(({ row, id }) => `${row}:${id}`)]), toArray());
    const steps = [[0, "0:1", "1:1"], [1, "0:2", "1:2"], [2, "0:0", "1:0"]];
    expect(await lastValueFrom(stream)).toEqual(steps);
    expect(await lastValueFrom(stream)).toEqual(steps);
  });

  it("ends the generation when nobody listens any more", async () => {
    const watch: Watch = { rows: [], disposed: 0 };
    const endless: Chain = () => [0, 1];
    await firstValueFrom(generateTokens(chainModel(endless, watch), host(1), { maxNewTokens: 1000 }).pipe(take(3), toArray()));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(watch.disposed).toBe(1);
    expect(watch.rows.length).toBeLessThan(10);
  });
});

describe("bad input", () => {
  it("is refused before anything runs", async () => {
    const settings: GenerationSettings[] = [{ maxNewTokens: 0 }, { beams: 0 }, { beams: 2, sample: true }, { topP: 0 }, { temperature: 0 }, { minNewTokens: 30 }, { beam: 2 } as never];
    for (const idle of [{ temperature: 2 }, { topK: 3 }, { topP: 0.5 }]) await expect(ids(garden, idle), JSON.stringify(idle)).rejects.toMatchObject({ code: "generation.options", message: expect.stringContaining("must go with sample") as string });
    for (const each of settings) await expect(ids(garden, each), JSON.stringify(each)).rejects.toMatchObject({ code: "generation.options" });
    expect(() => generateTokens(chainModel(garden), host(1), { beams: 2 })).toThrow(expect.objectContaining({ code: "generation.options" }));
    await expect(generate({ family: "bert", config: {} } as Model, host(1))).rejects.toMatchObject({ code: "generation.model" });
    for (const empty of [host(0), { ...host(1), seq: 0 }]) await expect(generate(chainModel(garden), empty)).rejects.toMatchObject({ code: "generation.batch" });
    for (const eos_token_id of ["2", -1, 2.5, [1, "2"]]) await expect(generate({ ...chainModel(garden), config: { eos_token_id } }, host(1))).rejects.toMatchObject({ code: "generation.options" });
    for (const config of [{}, { eos_token_id: null }]) expect((await generate({ ...chainModel(garden), config }, host(1), { maxNewTokens: 3 })).ids).toEqual([[1, 0, 0]]);
  });

  it("never turns NaN into a token, and leaves no tensor behind when it fails", async () => {
    const { tensors } = memory();
    for (const settings of [{}, { beams: 2 }, { sample: true }, { scores: true }]) {
      for (const chain of [[NaN, NaN], [0.5, Infinity, 0.5], [0, 0]]) await expect(ids(() => chain, settings)).rejects.toMatchObject({ code: "generation.nonfinite" });
      await expect(ids(() => [0.5, 0.5], { ...settings, eos: [0, 1], minNewTokens: 1 })).rejects.toMatchObject({ code: "generation.nonfinite", message: expect.stringContaining("end tokens") });
    }
    await ids(garden, { beams: 2 });
    expect(memory().tensors).toBe(tensors);
  });
});

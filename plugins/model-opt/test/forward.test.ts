import { batchTensors, evaluate, generate, Kernel, MODEL_FAMILY, mlpBlocks, ops, trainingContext, type HeadKind, type HostBatch, type Model, type ModelConfig, type SiteKind, type Split } from "@deft-js/core";
import { modelFamilyChecks, readFixtureBatch } from "@deft-js/testkit";
import { describe, expect, it } from "vitest";
import plugin, { optFamily } from "../src/index.ts";
import { batchOf, configOf, folderOf, goldenBatch, goldenModel, greedy, memorySource, tensorsOf } from "./golden-model.ts";

const small: ModelConfig = { model_type: "opt", vocab_size: 12, hidden_size: 8, num_hidden_layers: 2, num_attention_heads: 2, ffn_dim: 6, max_position_embeddings: 9, init_std: 0.5 };
const random = (change: ModelConfig = {}, head: HeadKind = "language-model"): Promise<Model> => optFamily.build({ config: { ...small, ...change }, head, rng: new ops.Rng(11) });
const logits = (model: Model, ids: number[][]): number[] => ops.scope(() => [...ops.read(model.forward(batchOf(ids)).logits)]);

describe.each(["opt-causal", "opt-postln-proj"])("conformance of %s", (name) => {
  const host = readFixtureBatch(folderOf(name));
  for (const { name: title, run } of modelFamilyChecks({ family: optFamily, config: configOf(name), head: "language-model", batch: host, padId: 1 })) it(title, run);
});

describe("positions", () => {
  /** The rows of the position table that the positions take: the table holds i in row i, and the words are 0. */
  async function positions(mask: number[], more: { positionOffset?: number; past?: number; prompt?: number } = {}): Promise<number[]> {
    const model = await random({ hidden_size: 2, num_attention_heads: 1 }, "none");
    model.parameters().get("model.decoder.embed_tokens.weight")!.load(new Float32Array(24));
    model.parameters().get("model.decoder.embed_positions.weight")!.load(Float32Array.from({ length: 22 }, (_, i) => Math.floor(i / 2)));
    const { prompt, past = 0, ...rest } = more;
    let seen: number[] = [];
    model.sites("embedding")[0]!.wrap((input, base) => {
      const changed = { inputIds: ops.intTensor(mask.slice(past), [1, mask.length - past]), attentionMask: ops.tensor(mask, [1, mask.length]), past, ...rest, prompt: prompt === undefined ? undefined : ops.zeros([prompt, 2]) };
      seen = [...ops.read(base(changed).hidden)].filter((_, i) => i % 2 === 0);
      return base(input);
    });
    ops.scope(() => model.forward(batchOf([[3]])));
    return seen;
  }

  it("count the tokens of the mask from row 2 on, and give row 1 to padding", async () => {
    expect(await positions([1, 1, 1])).toEqual([2, 3, 4]);
    expect(await positions([0, 0, 1, 1])).toEqual([1, 1, 2, 3]);
    expect(await positions([1, 0, 1])).toEqual([2, 1, 3]);
  });

  it("go on after an offset, a cache or a prompt's rows", async () => {
    expect(await positions([0, 1, 1], { positionOffset: 4 })).toEqual([1, 6, 7]);
    expect(await positions([0, 1, 1, 1], { past: 3 })).toEqual([4]);
    expect(await positions([0, 1], { prompt: 3 })).toEqual([2, 3, 4, 1, 5]);
  });

  it("are refused past the table", async () => {
    const model = await random();
    expect(logits(model, [Array(9).fill(3)])).toHaveLength(9 * 12);
    expect(() => logits(model, [Array(10).fill(3)])).toThrow(expect.objectContaining({ code: "model.length" }));
  });
});

describe("evaluation", () => {
  it("means the loss over the tokens that something predicts: a row's first one only behind a prompt", async () => {
    const model = await random();
    const hosts: HostBatch[] = [[[3, 4, 5, 6, 7, 8]], [[3, 9]]].map(([ids]) => ({ size: 1, seq: ids!.length, labelSeq: ids!.length, inputIds: Int32Array.from(ids!), labels: Int32Array.from(ids!), attentionMask: new Float32Array(ids!.length).fill(1) }));
    const split: Split = { name: "dev", size: 2, batches: () => hosts };
    const losses = (): number[] => hosts.map((host) => ops.scope(() => {
      const batch = batchTensors(host);
      return ops.read(model.loss(model.forward(batch), batch))[0]!;
    }));
    const measured = async (): Promise<number> => (await evaluate({ model, split })).metrics["loss"]!;
    const [long, short] = losses() as [number, number];
    expect(await measured()).toBeCloseTo((5 * long + short) / 6, 5);
    model.sites("embedding")[0]!.wrap((input, base) => base({ ...input, prompt: ops.ones([1, 8]) }));
    const [behind, shortBehind] = losses() as [number, number];
    expect(await measured()).toBeCloseTo((6 * behind + 2 * shortBehind) / 8, 5);
    model.dispose();
  });
});

describe("attention", () => {
  it("does not look ahead", async () => {
    const model = await random();
    expect(logits(model, [[3, 4, 5, 6]]).slice(0, 36)).toEqual(logits(model, [[3, 4, 5, 9]]).slice(0, 36));
    expect(logits(model, [[3, 4, 5, 6]]).slice(36)).not.toEqual(logits(model, [[3, 4, 5, 9]]).slice(36));
  });

  it("does not see padding on the left", async () => {
    const model = await random();
    const padded = logits(model, [[1, 1, 3, 4]]).slice(24);
    for (const [i, v] of logits(model, [[3, 4]]).entries()) expect(padded[i]).toBeCloseTo(v, 5);
  });
});

describe("loss", () => {
  it("is of the next token: hand-computed for even logits, and for the label behind a prompt's rows", async () => {
    const model = await random({ init_std: 0 });
    const lossOf = (labels: number[], prompt = 0) =>
      ops.scope(() => {
        const undo = model.sites("embedding")[0]!.wrap((input, base) => base({ ...input, prompt: prompt === 0 ? undefined : ops.zeros([prompt, 8]) }));
        const batch = { ...batchOf([[3, 4, 5]]), labels: ops.intTensor(labels, [1, 3]) };
        const value = ops.read(model.loss(model.forward(batch), batch))[0]!;
        undo();
        return value;
      });
    expect(lossOf([3, 4, 5])).toBeCloseTo(Math.log(12), 5); // all logits 0: ln 12 for each of the two predicted tokens
    expect(lossOf([3, -100, -100], 2)).toBeCloseTo(Math.log(12), 5); // the first token is predicted by the prompt's last row
  });

  it("names what is wrong with the labels", async () => {
    const model = await random();
    ops.scope(() => {
      const batch = batchOf([[3, 4, 5]]);
      const result = model.forward(batch);
      expect(() => model.loss(result, { ...batch, labels: undefined })).toThrow(expect.objectContaining({ code: "model.labels" }));
      expect(() => model.loss(result, { ...batch, labels: ops.intTensor([1], [1]) })).toThrow(expect.objectContaining({ code: "model.labels" }));
    });
  });
});

describe("sites", () => {
  it("stand at the Hugging Face paths with their sizes", async () => {
    const model = await random({ word_embed_proj_dim: 4 });
    const list = (kind: SiteKind) => model.sites(kind).map((s) => `${s.path} ${s.dIn} ${s.dOut} ${s.layer ?? "-"} ${s.role ?? "-"}`);
    const l = "model.decoder.layers.1";
    expect(list("linear").filter((s) => s.startsWith(l))).toEqual([
      `${l}.self_attn.q_proj 8 8 1 -`, `${l}.self_attn.k_proj 8 8 1 -`, `${l}.self_attn.v_proj 8 8 1 -`, `${l}.self_attn.out_proj 8 8 1 -`, `${l}.fc1 8 6 1 mlp-up`, `${l}.fc2 6 8 1 mlp-down`,
    ]);
    expect(list("linear").filter((s) => s.includes("project"))).toEqual(["model.decoder.project_in 4 8 - -", "model.decoder.project_out 8 4 - -"]);
    expect(list("residual").slice(2)).toEqual([`${l}.self_attn 8 8 1 attention`, `${l}.mlp 8 8 1 mlp`]);
    expect(list("activation")[1]).toBe(`${l}.activation_fn 6 6 1 -`);
    expect(list("attention")[1]).toBe(`${l}.self_attn 8 8 1 attention`);
    expect(list("mlp")[1]).toBe(`${l}.mlp 8 8 1 -`);
    expect(list("embedding")).toEqual(["model.decoder.embed_tokens 12 8 - -"]);
    expect(mlpBlocks(model)).toHaveLength(2);
    expect(model.sites("mlp").every((s) => s.stack === "decoder")).toBe(true);
  });

  it("draws dropout only while training", async () => {
    const model = await random({ dropout: 0.5 });
    const run = (seed?: number) => ops.scope(() => [...ops.read(model.forward(batchOf([[3, 4]]), {}, seed === undefined ? undefined : trainingContext(new ops.Rng(seed))).logits)]);
    expect(run(1)).toEqual(run(1));
    expect(run(1)).not.toEqual(run(2));
    expect(run()).not.toEqual(run(1));
  });
});

describe("decoding", () => {
  it.each(["opt-causal", "opt-postln-proj"])("gives %s's logits of a forward pass over the same tokens, step by step", async (name) => {
    const model = await goldenModel(name);
    ops.scope(() => {
      const ids = [[1, 2, 29, 107, 77], [2, 21, 19, 26, 37]];
      const whole = ops.read(model.forward(batchOf(ids)).logits);
      const width = whole.length / 10;
      const decoding = model.decode!(batchOf(ids.map((row) => row.slice(0, 3))));
      const compare = (got: ops.Tensor, position: number): void => {
        const values = ops.read(got);
        for (let r = 0; r < 2; r++) for (let v = 0; v < width; v++) expect(values[r * width + v]).toBeCloseTo(whole[(r * 5 + position) * width + v]!, 3);
      };
      compare(decoding.begin(), 2);
      compare(decoding.step(Int32Array.of(107, 26)), 3);
      decoding.select([1, 0, 1]);
      expect(decoding.rows).toBe(3);
      const last = ops.read(decoding.step(Int32Array.of(37, 77, 37)));
      for (let v = 0; v < width; v++) {
        expect(last[v]).toBeCloseTo(whole[9 * width + v]!, 3);
        expect(last[width + v]).toBeCloseTo(whole[4 * width + v]!, 3);
        expect(last[2 * width + v]).toBe(last[v]);
      }
      decoding.dispose();
    });
  });

  it("frees what it made", async () => {
    const model = await random();
    const run = () => ops.scope(() => greedy(model, batchOf([[1, 3, 4], [3, 5, 6]]), 4, { eos: 2, pad: 1 }));
    run();
    const { tensors } = ops.memory();
    run();
    expect(ops.memory().tensors).toBe(tensors);
  });

  it("refuses prompts that end with padding, and models without a head", async () => {
    const [model, bare] = [await random(), await random({}, "none")];
    ops.scope(() => {
      expect(() => model.decode!(batchOf([[3, 4], [3, 1]]))).toThrow(expect.objectContaining({ code: "generation.padding", message: expect.stringContaining("row 1") }));
      expect(() => bare.decode!(batchOf([[3, 4]]))).toThrow(expect.objectContaining({ code: "model.head" }));
      expect(() => bare.loss(bare.forward(batchOf([[3]])), batchOf([[3]]))).toThrow(expect.objectContaining({ code: "model.head" }));
    });
  });
});

describe("loading", () => {
  const logitsOf = async (tensors = tensorsOf("opt-causal")): Promise<number[]> => {
    const model = await goldenModel("opt-causal", "language-model", tensors);
    return ops.scope(() => [...ops.read(model.forward(goldenBatch("opt-causal")).logits)]);
  };

  it("takes folders without the prefix, and the tied head under its own name", async () => {
    const expected = await logitsOf();
    expect(await logitsOf(tensorsOf("opt-causal").map((t) => ({ ...t, name: t.name.replace(/^model\./, "") })))).toEqual(expected);
    const word = tensorsOf("opt-causal").find((t) => t.name.includes("embed_tokens"))!;
    expect(await logitsOf([...tensorsOf("opt-causal"), { ...word, name: "lm_head.weight" }])).toEqual(expected);
  });

  it("writes what it read, bit for bit", async () => {
    const model = await goldenModel("opt-postln-proj");
    const written = new Map([...model.exportParameters()].map((t) => [t.name, t]));
    expect([...written.keys()].sort()).toEqual(tensorsOf("opt-postln-proj").map((t) => t.name).sort());
    for (const t of tensorsOf("opt-postln-proj")) expect(written.get(t.name)).toEqual(t);
    expect(model.config["architectures"]).toEqual(["OPTForCausalLM"]);
  });

  it("freezes what it reads and trains what it initialises", async () => {
    const [read, made] = [await goldenModel("opt-causal"), await random()];
    expect([...read.parameters().values()].some((v) => v.trainable)).toBe(false);
    expect([...made.parameters().values()].every((v) => v.trainable)).toBe(true);
    expect(read.headParameters()).toEqual([]);
    expect([...made.parameters().get("model.decoder.embed_tokens.weight")!.data().subarray(8, 16)].every((v) => v === 0)).toBe(true);
  });

  it("leaves absent weights unread and holds others in the format that is asked for", async () => {
    const encode = (path: string, values: Float32Array, { dOut, dIn }: { dOut: number; dIn: number }) => ({ shape: [dIn, dOut] as const, format: `seen ${path} ${values.length}`, bytes: 1, apply: (x: ops.Tensor) => x, dense: () => ops.zeros([dIn, dOut]), dispose: () => undefined });
    const model = await optFamily.build({
      config: configOf("opt-causal"), head: "language-model", rng: new ops.Rng(1), source: memorySource(tensorsOf("opt-causal")),
      absent: (path) => path.includes("layers.1.fc"), weightFormat: (path) => (path.endsWith("q_proj") ? { id: "seen", options: {}, encode } : undefined),
    });
    const formats = model.sites("linear").map((s) => `${s.path.split(".").at(-1)} ${s.weight!.format.split(" ")[0]}`);
    expect(formats).toEqual(["q_proj seen", "k_proj dense", "v_proj dense", "out_proj dense", "fc1 dense", "fc2 dense", "q_proj seen", "k_proj dense", "v_proj dense", "out_proj dense", "fc1 absent", "fc2 absent"]);
    expect(() => ops.scope(() => model.forward(goldenBatch("opt-causal")))).toThrow(expect.objectContaining({ code: "weight.absent" }));
  });

  it.each([
    [{ hidden_size: 9 }, "num_attention_heads"], [{ pad_token_id: 12 }, "pad_token_id"], [{ layerdrop: 0.1 }, "layerdrop"], [{ tie_word_embeddings: false }, "tie_word_embeddings"],
    [{ layer_norm_elementwise_affine: false }, "layer_norm_elementwise_affine"], [{ ffn_dim: 0 }, "ffn_dim"], [{ model_type: "gpt2" }, "model_type"],
  ])("refuses the configuration %j", async (change, named) => {
    await expect(random(change)).rejects.toMatchObject({ code: "model.config", message: expect.stringContaining(named) });
  });

  it("names the end token of transformers' OPTConfig where the configuration names none", async () => {
    expect([(await random({ eos_token_id: undefined })).config["eos_token_id"], (await random({ eos_token_id: 7 })).config["eos_token_id"]]).toEqual([2, 7]);
  });

  it("refuses a head that it does not have", async () => {
    await expect(random({}, "sequence-classification")).rejects.toMatchObject({ code: "model.head" });
  });

  it("does without biases where the configuration says so", async () => {
    const model = await random({ enable_bias: false });
    expect([...model.parameters().keys()].filter((n) => n.endsWith("bias")).every((n) => n.includes("layer_norm"))).toBe(true);
    expect(logits(model, [[3, 4]]).every(Number.isFinite)).toBe(true);
  });
});

describe("plugin", () => {
  it("brings the family to the kernel", () => {
    expect(new Kernel().use(plugin).create(MODEL_FAMILY, "opt")).toBe(optFamily);
  });
});

it("beam search gives a row the same ids and score in whatever batch it stands", async () => {
  const model = await random({ max_position_embeddings: 24 });
  const rows = [[2, 5, 6, 7, 8, 9, 10], [2, 3], [2, 11, 4, 6], [2]];
  const searched = async (chosen: readonly number[][]): Promise<{ ids: readonly number[]; score: number }[]> => {
    const seq = Math.max(...chosen.map(({ length }) => length));
    const padded = chosen.map((ids) => [...Array<number>(seq - ids.length).fill(1), ...ids]);
    const host = { size: chosen.length, seq, inputIds: Int32Array.from(padded.flat()), attentionMask: Float32Array.from(padded.flat(), (id) => Number(id !== 1)) };
    const { ids, scores } = await generate(model, host, { beams: 3, maxNewTokens: 8, eos: [3, 4], lengthPenalty: 2 });
    return ids.map((row, i) => ({ ids: row, score: scores![i]! }));
  };
  const alone = (await Promise.all(rows.map((row) => searched([row])))).flat();
  expect(await searched(rows)).toEqual(alone.map(({ ids, score }) => ({ ids, score: expect.closeTo(score, 5) as number })));
  model.dispose();
});

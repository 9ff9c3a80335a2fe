import { AdapterSet, DenseWeight, ops, type Model, type PeftMethod } from "@deft-js/core";
import { letterTokenizer, toyBatch, toyModel } from "@deft-js/testkit";
import { beforeAll, describe, expect, it } from "vitest";

/** y + s·base(x)·2 on queries: mergeable, order-dependent together with `shift`. */
const doubled: PeftMethod = {
  id: "doubled", options: {},
  attach: (model, rng) => attached(doubled, model, rng, (y, s) => ops.mul(y, s), (weight, s) => ops.mul(weight, s), (bias, s) => ops.mul(bias, s)),
};
/** y + s: no merge. */
const shift: PeftMethod = { id: "shift", options: {}, attach: (model, rng) => attached(shift, model, rng, (y, s) => ops.add(y, s)) };

type Change = (x: ops.Tensor, s: ops.Tensor) => ops.Tensor;

function attached(method: PeftMethod, model: Model, rng: ops.Rng, change: Change, weight?: Change, bias?: Change) {
  const parts = model.sites("linear", /query$/).map((site) => {
    const s = ops.Variable.from(`${site.path}.s`, rng.fork(site.path).normals(site.dOut, 1), [site.dOut]);
    return { site, s, undo: site.wrap((x, base) => change(base(x), s.value)) };
  });
  const variables = parts.map(({ s }) => s);
  const detach = (): void => parts.forEach(({ s, undo }) => (undo(), s.dispose()));
  const merge = (): void => {
    for (const { site, s } of parts) {
      const next = ops.scope(() => weight!(site.weight!.dense(), s.value));
      model.replaceWeight(site.path, new DenseWeight(new ops.Variable(`${site.path}.weight`, next, { trainable: false })));
      site.bias!.assign(ops.scope(() => bias!(site.bias!.value, s.value)));
    }
    detach();
  };
  return {
    method, variables, detach, ...(weight === undefined ? {} : { merge }),
    state: () => variables.map((v) => ({ name: v.path, shape: v.shape, values: v.data() })),
    loadState: (state: Iterable<{ name: string; values: Float32Array }>) => { for (const { name, values } of state) variables.find((v) => v.path === name)!.load(values); },
  };
}

let model: Model;
const logits = (): number[] => {
  const batch = toyBatch();
  const found = [...ops.scope(() => ops.read(model.forward(batch).logits))];
  for (const tensor of [batch.inputIds, batch.attentionMask, batch.labels]) tensor?.dispose();
  return found;
};
const close = (a: readonly number[], b: readonly number[]): void => a.forEach((value, i) => expect(value).toBeCloseTo(b[i]!, 5));

beforeAll(async () => {
  model = await toyModel();
});

describe("AdapterSet", () => {
  it("uses none, one or several in the order that is asked for, switched without reloading", () => {
    const plain = logits();
    const set = new AdapterSet(model);
    set.add("d", doubled, new ops.Rng(1));
    set.add("s", shift, new ops.Rng(2));
    set.add("e", doubled, new ops.Rng(3));
    expect(logits()).toEqual(plain);
    const seen = [["d"], ["s"], ["d", "s"], ["s", "d"], ["e"]].map((names) => set.with(names, logits));
    expect(new Set(seen.map(String)).size).toBe(5);
    expect(logits()).toEqual(plain);
    set.use(["d", "s"]);
    expect(set.attachments.map(({ method }) => method.id)).toEqual(["doubled", "shift"]);
    expect(logits()).toEqual(seen[2]);
    set.remove("d");
    expect(logits()).toEqual(seen[1]);
    set.without();
    expect(logits()).toEqual(plain);
    set.dispose();
  });

  it("merges what is in use beside the model's own weights and gives their bits back", () => {
    const { tensors } = ops.memory();
    const plain = logits();
    const bits = [...model.parameters()].map(([name, variable]) => [name, [...variable.data()]]);
    const set = new AdapterSet(model);
    set.add("d", doubled, new ops.Rng(1));
    set.add("e", doubled, new ops.Rng(3));
    set.use(["e", "d"]);
    const unmerged = logits();
    set.merge();
    close(logits(), unmerged);
    expect(logits()).not.toEqual(plain);
    expect(() => set.use("d")).toThrow(expect.objectContaining({ code: "adapters.merged" }));
    set.unmerge();
    expect(set.used).toEqual(["e", "d"]);
    expect(logits()).toEqual(unmerged);
    set.merge();
    set.dispose();
    expect(logits()).toEqual(plain);
    expect([...model.parameters()].map(([name, variable]) => [name, [...variable.data()]])).toEqual(bits);
    expect(ops.memory().tensors).toBe(tensors);
  });

  it("hands the context on, when it attaches again, too", () => {
    const seen: unknown[] = [];
    const asking: PeftMethod = { ...doubled, attach: (on, rng, context) => (seen.push(context), doubled.attach(on, rng)) };
    const context = { tokenizer: letterTokenizer };
    const set = new AdapterSet(model);
    set.add("a", asking, new ops.Rng(1), context);
    set.use("a");
    set.merge();
    set.dispose();
    expect(seen).toEqual([context, context]);
  });

  it("is merged by the set alone, and for good once that is committed", () => {
    const set = new AdapterSet(model);
    const plain = logits();
    const attachment = set.add("a", doubled, new ops.Rng(1));
    expect(() => attachment.merge!()).toThrow(expect.objectContaining({ code: "adapters.merge" }));
    set.use("a");
    const merged = logits();
    const inFolder = (): number[] => [...[...model.exportParameters()].find(({ name }) => name.endsWith("query.weight"))!.values];
    const before = inFolder();
    set.merge();
    const folded = inFolder();
    expect(folded).not.toEqual(before);
    set.commit();
    expect(inFolder()).toEqual(folded);
    for (const [i, value] of logits().entries()) expect(value).toBeCloseTo(merged[i]!, 5);
    set.dispose();
    expect(logits()).not.toEqual(plain);
  });

  it("loses nothing that changes what is merged: unmerging is refused until that is taken back", () => {
    const [set, { tensors }] = [new AdapterSet(model), ops.memory()];
    const plain = logits();
    const attachment = set.add("a", doubled, new ops.Rng(1));
    set.use("a");
    const wrapped = logits();
    const state = attachment.state();
    set.merge();
    for (const use of [() => attachment.state(), () => attachment.loadState(state), () => attachment.detach()]) expect(use).toThrow(expect.objectContaining({ code: "adapters.merged" }));
    const { weight, bias } = model.sites("linear", /query$/)[0]!;
    for (const changed of [(weight as DenseWeight).variable, bias!]) {
      const values = changed.data();
      changed.load(values.map((value, i) => (i === 3 ? value + 0.5 : value)));
      expect(() => set.unmerge()).toThrow(expect.objectContaining({ code: "adapters.changed" }));
      changed.load(values);
    }
    const { bias: other } = model.sites("linear", /value$/)[0]!;
    other!.load(other!.data().map((value) => value + 1)); // of no merged layer: stays
    set.unmerge();
    expect(attachment.state()).toEqual(state);
    other!.load(other!.data().map((value) => value - 1));
    close(logits(), wrapped);
    attachment.loadState(state.map((array) => ({ ...array, values: new Float32Array(array.values.length).fill(1) })));
    close(logits(), plain); // the handle from before reaches the model
    set.dispose();
    expect(ops.memory().tensors).toBe(tensors);
  });

  it("uses a selection until an asynchronous body is done, and refuses to change meanwhile", async () => {
    const set = new AdapterSet(model);
    set.add("d", doubled, new ops.Rng(1));
    set.add("s", shift, new ops.Rng(2));
    const [plain, alone] = [logits(), set.with("d", logits)];
    const later = async (): Promise<number[]> => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      return logits();
    };
    const running = set.with("d", later);
    const changes = [() => set.use("s"), () => set.with("s", logits), () => set.without(), () => set.merge(), () => set.remove("s"), () => set.add("e", shift, new ops.Rng(3)), () => set.dispose()];
    for (const change of changes) expect(change).toThrow(expect.objectContaining({ code: "adapters.busy", message: expect.stringMatching(/d in use/) }));
    expect(await running).toEqual(alone);
    expect([set.used, logits()]).toEqual([[], plain]);
    await expect(set.with("d", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(() => set.with("d", () => { throw new Error("nor"); })).toThrow("nor");
    expect([set.used, logits()]).toEqual([[], plain]);
    set.dispose();
  });

  it("refuses what it does not know, what it holds already and what cannot be merged", () => {
    const set = new AdapterSet(model);
    set.add("s", shift, new ops.Rng(1));
    const refused = (body: () => unknown, code: string): void => expect(body).toThrow(expect.objectContaining({ code }));
    refused(() => set.add("s", shift, new ops.Rng(1)), "adapters.name");
    refused(() => set.use("t"), "adapters.name");
    refused(() => set.use(["s", "s"]), "adapters.name");
    refused(() => set.get("t"), "adapters.name");
    set.use("s");
    const before = logits();
    refused(() => set.merge(), "adapters.merge");
    expect(logits()).toEqual(before);
    set.dispose();
    expect(set.names).toEqual([]);
  });
});

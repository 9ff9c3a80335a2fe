import { attachmentOf, AdapterSet, changeVariable, ops, replaceMatrix, type Attachment, type Model, type PeftMethod } from "@deft-js/core";
import { toyBatch, toyModel } from "@deft-js/testkit";
import { describe, expect, it } from "vitest";

/** f(y) of every value layer's output y, with what it makes of weight and bias. */
function changed(id: string, f: (x: ops.Tensor, s: ops.Tensor) => ops.Tensor, { weight }: { readonly weight: boolean }): PeftMethod {
  const method: PeftMethod = {
    id, options: {},
    attach: (model, rng) => {
      const parts = model.sites("linear", /value$/).map((site) => {
        const s = ops.Variable.from(`${site.path}.${id}`, rng.fork(site.path).normals(site.dOut, 1), [site.dOut]);
        return { site, s, undo: site.wrap((x, base) => f(base(x), s.value)) };
      });
      const fold = (): void => {
        for (const { site, s } of parts) {
          if (weight) replaceMatrix(model, site, id, (matrix) => f(matrix, s.value));
          changeVariable(site.bias!, (bias) => f(bias, s.value));
        }
      };
      return attachmentOf({ method, variables: parts.map(({ s }) => s), undo: parts.map(({ undo }) => undo), fold });
    },
  };
  return method;
}

const scaled = changed("scaled", ops.mul, { weight: true });
const shifted = changed("shifted", ops.add, { weight: false });

function logits(model: Model): number[] {
  const batch = toyBatch();
  const found = [...ops.scope(() => ops.read(model.forward(batch).logits))];
  for (const tensor of [batch.inputIds, batch.attentionMask, batch.labels]) tensor?.dispose();
  return found;
}

describe("merging an attachment", () => {
  it("gives the same function from the inside out, and is refused around what is still attached", async () => {
    const model = await toyModel();
    const [inner, outer] = [shifted.attach(model, new ops.Rng(1)), scaled.attach(model, new ops.Rng(2))] as [Attachment, Attachment];
    const before = logits(model);
    expect(() => outer.merge!()).toThrow(expect.objectContaining({ code: "merge.order" }));
    expect(logits(model)).toEqual(before);
    inner.merge!();
    for (const [i, value] of logits(model).entries()) expect(value).toBeCloseTo(before[i]!, 5);
    outer.merge!();
    for (const [i, value] of logits(model).entries()) expect(value).toBeCloseTo(before[i]!, 5);
    model.dispose();
  });

  it("within a set is refused around what is attached to the model itself, and nothing has changed then", async () => {
    const model = await toyModel();
    const own = shifted.attach(model, new ops.Rng(1));
    const set = new AdapterSet(model);
    set.add("a", scaled, new ops.Rng(2));
    set.use("a");
    const before = logits(model);
    expect(() => set.merge()).toThrow(expect.objectContaining({ code: "merge.order" }));
    expect(logits(model)).toEqual(before);
    own.merge!();
    set.merge();
    for (const [i, value] of logits(model).entries()) expect(value).toBeCloseTo(before[i]!, 5);
    model.dispose();
  });
});

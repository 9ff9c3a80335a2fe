import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ops, SitePoint, evaluationContext, type WrapOrder } from "../src/index.ts";

const { read, scope, tensor } = ops;

const point = () => new SitePoint<"activation">({ kind: "activation", path: "a", stack: "encoder", dIn: 1, dOut: 1 });

/** Runs a site over the identity and gives the marks of the wrappers that were passed, outermost first. */
function marks(site: SitePoint<"activation">, seen: string[]): string {
  seen.length = 0;
  scope(() => site.run(tensor([1], [1]), evaluationContext, (x) => x));
  return seen.join("");
}

describe("site", () => {
  it("runs wrappers from post to pre, and within one order the later installed is further out", () => {
    const site = point();
    const seen: string[] = [];
    const add = (mark: string, order?: WrapOrder) => site.wrap((x, base) => (seen.push(mark), base(x)), order);
    add("a", "post");
    add("b");
    add("c", "pre");
    add("d", "pre");
    add("e");
    add("f", "post");
    expect(marks(site, seen)).toBe("faebdc");
  });

  it("lets a wrapper change input and output and pass the function over", () => {
    const site = point();
    const run = () => scope(() => read(site.run(tensor([3], [1]), evaluationContext, (x) => ops.add(x, tensor([10], [1]))))[0]);
    expect(run()).toBe(13);
    const undo = site.wrap((x, base) => ops.scale(base(ops.scale(x, 2)), 100));
    expect(run()).toBe(1600);
    site.wrap((x) => x);
    expect(run()).toBe(3);
    undo();
    expect(run()).toBe(3);
  });

  it("refuses a wrapper's output of another shape, which would be repeated where it is added", () => {
    const run = (given: unknown): void => {
      const site = point();
      site.wrap(() => given as never);
      scope(() => site.run(tensor([3, 4], [2, 1]), evaluationContext, (x) => x));
    };
    for (const [given, told] of [[tensor([1], [1, 1]), "got [1,1]"], [ops.scalar(1), "got []"], [undefined, "got undefined"], [3, "got 3"]] as const)
      expect(() => run(given)).toThrow(expect.objectContaining({ code: "site.output", message: expect.stringContaining(`site a: a wrapper of activation must give a tensor [2,1], ${told}.`) as string }));
  });

  it("gives the context to the wrappers", () => {
    const site = point();
    const contexts: unknown[] = [];
    site.wrap((x, base, context) => (contexts.push(context), base(x)));
    marks(site, []);
    expect(contexts).toEqual([evaluationContext]);
  });

  it("is as if a wrapper had never been there after its undo, whatever the order of undoing", () => {
    const orders: WrapOrder[] = ["pre", "normal", "post"];
    const step = fc.record({ order: fc.constantFrom(...orders), undone: fc.boolean(), turn: fc.integer() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const [site, expected] = [point(), point()];
        const [seen, wanted]: [string[], string[]] = [[], []];
        const undos = steps.map(({ order, undone, turn }, i) => {
          const undo = site.wrap((x, base) => (seen.push(`${i},`), base(x)), order);
          if (!undone) expected.wrap((x, base) => (wanted.push(`${i},`), base(x)), order);
          return { undo, undone, turn };
        });
        for (const { undo } of undos.filter((u) => u.undone).sort((a, b) => a.turn - b.turn)) {
          undo();
          undo();
        }
        expect(marks(site, seen)).toBe(marks(expected, wanted));
        expect(site.wrapped).toBe(expected.wrapped);
      }),
      { numRuns: 100 },
    );
  });

  it("keeps the two apart when one function is installed twice", () => {
    const site = point();
    const seen: string[] = [];
    const around = (x: ops.Tensor, base: (x: ops.Tensor) => ops.Tensor) => (seen.push("x"), base(x));
    const undo = site.wrap(around);
    site.wrap(around);
    undo();
    expect(marks(site, seen)).toBe("x");
  });
});

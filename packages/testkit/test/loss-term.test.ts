import { DeftError, ops, type Batch, type ForwardResult, type LossTerm } from "@deft-js/core";
import { describe, expect, it } from "vitest";
import { lossTermChecks, type Check } from "../src/index.ts";
import { failures } from "./failures.ts";

type Flaw = "infinite" | "vector" | "never" | "gradient" | "weightless" | "poisoned" | "leak" | "taps" | "observer";

const variable = ops.Variable.from("a", Float32Array.of(0.5, -1, 2, 1), [1, 2, 2]);
const forward = (): ForwardResult => ({ logits: ops.scalar(0), hiddenStates: [], activations: [{ path: "a", stack: "encoder", layer: 0, value: ops.scale(variable.value, 1), mask: ops.ones([1, 2]) }] });

/** mean a², with a flaw. */
function term(weight: number, flaw?: Flaw): LossTerm {
  const seen: ops.Tensor[] = [];
  return {
    name: "square",
    taps: { activations: true },
    weightAt: () => (flaw === "never" ? 0 : flaw === "weightless" ? 1 : weight),
    compute: ({ activations: [first] }) => {
      if (first === undefined && flaw === "taps") return ops.scalar(0);
      if (first === undefined) throw new DeftError("square.taps", "square: needs activations, got none. Ask for them.");
      if (flaw === "leak") ops.tf.keep(ops.tf.scalar(1));
      if (flaw === "infinite") return ops.scale(ops.mean(first.value), Infinity);
      if (flaw === "vector") return first.value;
      if (flaw === "gradient") return ops.add(ops.mean(ops.square(first.value)), ops.noGradient(() => ops.mean(first.value)));
      if (flaw === "poisoned" && weight === 0) return ops.mean(ops.log(ops.sub(first.value, first.value)));
      return ops.mean(ops.square(first.value));
    },
    observer: () => ({
      observe({ value }) {
        seen.splice(0, seen.length, ops.mean(ops.square(value)));
        return seen;
      },
      loss: () => [{ values: seen[0]!, weight: flaw === "observer" ? 2 : 1 }],
    }),
  };
}

const checks = (flaw?: Flaw): readonly Check[] =>
  lossTermChecks({ term: () => term(1, flaw), weightless: () => term(0, flaw), variables: [variable], forward, batch: {} as Batch, step: 1e-2, tolerance: 1e-2 });

const CAUGHT: Readonly<Record<Flaw, string>> = {
  infinite: "gives one finite number all through a run",
  vector: "gives one finite number all through a run",
  never: "gives one finite number all through a run",
  gradient: "has the gradient of its central differences",
  weightless: "gives no gradient at weight 0",
  poisoned: "gives no gradient at weight 0",
  observer: "gives through its observer what it computes",
  leak: "leaves no tensor behind",
  taps: "refuses a forward pass without its taps",
};

describe("lossTermChecks", () => {
  it("passes a sound term", async () => expect(await failures(checks())).toEqual(new Map()));

  it.each(Object.entries(CAUGHT))("catches the flaw %s", async (flaw, name) => {
    const found = await failures(checks(flaw as Flaw));
    expect([...found.keys()]).toContain(name);
    expect(found.get(name)).not.toMatch(/^not a demand/);
  });

  it("has a flaw for every check", () => expect(new Set(Object.values(CAUGHT))).toEqual(new Set(checks().map(({ name }) => name))));
});

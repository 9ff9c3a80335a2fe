import { describe, expect, it } from "vitest";
import { add, crossEntropy, densityPenalty, differentiable, gelu, gradientsOf, intTensor, layerNorm, linear, lowRank, mean, memory, mul, read, Rng, scope, sum, tensor, tf, valueAndGradients, Variable, weightedSum, attention, type Tensor } from "../src/index.ts";

const rng = new Rng(1);
const random = (...shape: number[]) => Variable.from(`v${shape.join("x")}`, rng.normals(shape.reduce((a, b) => a * b, 1), 1), shape);

/** Compares reverse-mode gradients with central differences under a non-uniform upstream gradient. */
function check(variables: Variable[], f: () => import("../src/index.ts").Tensor, step = 1e-2, tolerance = 2e-2): void {
  const grads = scope(() => {
    const { gradients } = valueAndGradients(f, variables);
    return variables.map((v) => read(gradients.get(v.path)!));
  });
  for (const [n, v] of variables.entries()) {
    const at = v.data();
    for (let i = 0; i < at.length; i++) {
      const probe = (d: number): number => {
        const moved = Float32Array.from(at);
        moved[i]! += d;
        v.load(moved);
        return scope(() => read(f())[0]!);
      };
      const numeric = (probe(step) - probe(-step)) / (2 * step);
      v.load(at);
      expect(Math.abs(numeric - grads[n]![i]!), `${v.path}[${i}] numeric ${numeric} tape ${grads[n]![i]}`).toBeLessThan(tolerance * Math.max(1, Math.abs(numeric)));
    }
  }
}

describe("tape", () => {
  it("differentiates a small transformer layer as central differences do", () => {
    const x = random(2, 3, 4), w = random(4, 4), a = random(4, 2), b = random(2, 4), g = random(4);
    const weights = tensor([0.1, 0.2, 0, 0.1, 0.1, 0.1], [2, 3]);
    const mask = tensor([1, 1, 0, 1, 1, 1], [2, 3]);
    const up = tensor(rng.normals(24, 1), [2, 3, 4]);
    check([x, w, a, b, g], () => {
      const base = linear(x.value, w.value, { bias: g.value, activation: "gelu" });
      const h = lowRank(x.value, base, { down: a.value, up: b.value, scale: 2 });
      const n = layerNorm(h, { gamma: g.value, beta: g.value, epsilon: 1e-5, residual: x.value });
      const k = attention(n, x.value, h, { heads: 2, scale: 0.5, mask });
      const d = densityPenalty(gelu(k), { epsilon: 0.1, weights });
      return add(sum(mul(k, up)), mean(d));
    });
  });

  it("takes a saved tensor as the gradient of two inputs and leaves it to whoever saved it", () => {
    const x = random(3);
    const before = memory();
    const passes = (input: Tensor): Tensor => {
      let saved: Tensor;
      return differentiable({
        name: "passes",
        inputs: [input, input],
        forward: () => ({ output: tf.add(input, 1), saved: [(saved = tf.mul(input, 2)), input] }),
        backward: () => [saved, saved],
      });
    };
    scope(() => {
      const gradient = gradientsOf(() => [{ values: passes(passes(x.value)), weight: 1 }], [x]).get(x.path)!;
      expect([...read(gradient)]).toEqual([...x.data()].map((v) => 4 * v)); // 2x for each of the first op's two inputs
    });
    expect(memory()).toEqual(before);
  });

  it("differentiates a weighted sum of values of any shape, whatever depends on nothing trained left out", () => {
    const x = random(2, 3), y = random(4);
    const summands = () => [{ values: mul(x.value, x.value), weight: 2 }, { values: x.value, weight: -1 }, { values: sum(y.value), weight: 2 }, { values: tensor([5, 6], [2]), weight: 3 }, { values: x.value, weight: 0.5 }];
    scope(() => {
      const gradients = gradientsOf(summands, [x, y]);
      read(gradients.get(x.path)!).forEach((g, i) => expect(g).toBeCloseTo(4 * x.data()[i]! - 0.5, 6));
      expect([...read(gradients.get(y.path)!)]).toEqual([2, 2, 2, 2]);
      const [xs, ys] = [[...x.data()], [...y.data()]];
      expect(read(weightedSum(summands()))[0]).toBeCloseTo(xs.reduce((s, v) => s + 2 * v * v - 0.5 * v, 0) + 2 * ys.reduce((s, v) => s + v, 0) + 33, 5);
      expect([...read(weightedSum([]))]).toEqual([0]);
      expect(weightedSum([{ values: tensor([3], [1]), weight: 1 }]).shape).toEqual([]);
    });
    expect(() => gradientsOf(() => [{ values: tensor([1], [1]), weight: 1 }], [x])).toThrow(/depends on none of the variables/);
    expect(() => gradientsOf(() => (gradientsOf(summands, [x]), summands()), [x])).toThrow(/inside each other/);
  });

  it("gives one tensor to two inputs as their gradient, also when the first has one already", () => {
    const twiceTheSum = (a: Tensor, b: Tensor) =>
      differentiable({
        name: "twiceTheSum",
        inputs: [a, b],
        forward: () => ({ output: tf.mul(tf.add(a, b), 2) }),
        backward: (dy) => {
          const both = tf.mul(dy.value(), 2);
          return [both, both];
        },
      });
    const x = random(3), y = Variable.from("y", rng.normals(3, 1), [3]);
    const gradients = scope(() => [...valueAndGradients(() => sum(add(add(twiceTheSum(x.value, y.value), x.value), y.value)), [x, y]).gradients.values()].map((g) => [...read(g)]));
    expect(gradients).toEqual([[3, 3, 3], [3, 3, 3]]);
  });

  it("holds no activation whose values its op can make again", () => {
    const w = random(4, 300);
    const x = tensor(rng.normals(8, 1), [2, 1, 4]);
    const weights = tensor([0.5, 0.5], [2, 1]);
    const heldBytes = (penalised: boolean, kind: "gelu" | "relu") => {
      let bytes = 0;
      scope(() => void valueAndGradients(() => {
        const total = scope(() => {
          const a = linear(x, w.value, { activation: kind });
          return penalised ? add(mean(densityPenalty(a, { epsilon: 0.1, weights })), mean(a)) : mean(a);
        });
        bytes = memory().bytes;
        return total;
      }, [w]));
      return bytes;
    };
    for (const kind of ["gelu", "relu"] as const) expect(heldBytes(true, kind) - heldBytes(false, kind)).toBeLessThan(2 * 300 * 4);
  });

  it("leaves no tensor behind", () => {
    const w = random(4, 3);
    const x = tensor(rng.normals(8, 1), [2, 4]);
    const labels = intTensor([1, 2], [2]);
    const run = () => scope(() => void valueAndGradients(() => crossEntropy(linear(x, w.value, { activation: "relu" }), labels), [w]));
    run();
    const before = memory();
    for (let i = 0; i < 5; i++) run();
    expect(memory()).toEqual(before);
    expect(before.held).toBe(0);
  });
});

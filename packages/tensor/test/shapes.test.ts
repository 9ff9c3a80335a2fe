import { afterEach, describe, expect, it } from "vitest";
import {
  adamWStep, attention, crossEntropy, densityPenalty, embedding, intTensor, layerNorm, linear, lowRank, meanSquaredError, memory, mul, ones, quantizedLinear, rmsNorm, scope, sum, tensor,
  valueAndGradients, Variable, differentiable, type QuantizedMatrix, type Tensor,
} from "../src/index.ts";

const matrix: QuantizedMatrix = { encoding: "int8", dOut: 2, dIn: 3, blockSize: 3, codes: new Uint8Array(6), scales: { values: new Float32Array(2) } };
const moment = (n: number): Variable => new Variable("w", ones([n]));

describe("operands that do not fit each other are refused on every back-end", () => {
  const q = (): Tensor => ones([1, 2, 4]);
  const attended = { heads: 2, scale: 1 };
  const cases: [string, string, () => unknown][] = [
    ["linear: x", "a last axis of 2, got the shape [1,3]", () => linear(ones([1, 3]), ones([2, 2]))],
    ["linear: x transposed", "a last axis of 2, got the shape [1,3]", () => linear(ones([1, 3]), ones([3, 2]), { transposed: true })],
    ["linear: bias", "the shape [2], got [1]", () => linear(ones([1, 2]), ones([2, 2]), { bias: ones([1]) })],
    ["lowRank: x", "a last axis of 3, got the shape [1,2]", () => lowRank(ones([1, 2]), ones([1, 2]), { down: ones([3, 1]), up: ones([1, 2]), scale: 1 })],
    ["lowRank: up", "the shape [1,2], got [2,1]", () => lowRank(ones([1, 2]), ones([1, 2]), { down: ones([2, 1]), up: ones([2, 1]), scale: 1 })],
    ["lowRank: base", "the shape [1,2], got [2,2]", () => lowRank(ones([1, 2]), ones([2, 2]), { down: ones([2, 1]), up: ones([1, 2]), scale: 1 })],
    ["layerNorm: gamma", "the shape [4], got [2]", () => layerNorm(ones([1, 4]), { gamma: ones([2]), beta: ones([4]), epsilon: 1 })],
    ["rmsNorm: residual", "the shape [2,4], got [1,4]", () => rmsNorm(ones([2, 4]), { gamma: ones([4]), residual: ones([1, 4]), epsilon: 1 })],
    ["attention: v", "the shape [1,3,4], got [1,4,4]", () => attention(q(), ones([1, 3, 4]), ones([1, 4, 4]), attended)],
    ["attention: heads", "the shape [batch, queries, 2 heads · dHead], got [1,2,3]", () => attention(ones([1, 2, 3]), ones([1, 2, 3]), ones([1, 2, 3]), attended)],
    ["attention: mask", "the shape [1,2], got [1,3]", () => attention(q(), q(), q(), { ...attended, mask: ones([1, 3]) })],
    ["attention: bias", "the shape [1,2,2,2], got [1,1,2,2]", () => attention(q(), q(), q(), { ...attended, bias: ones([1, 1, 2, 2]) })],
    ["densityPenalty: weights", "the shape [2,2], got [2,3]", () => densityPenalty(ones([2, 2, 4]), { epsilon: 1, weights: ones([2, 3]) })],
    ["crossEntropy: labels", "the shape [2], got [1]", () => crossEntropy(ones([2, 3]), intTensor([1], [1]))],
    ["meanSquaredError: y", "the shape [2,1], got [2]", () => meanSquaredError(ones([2, 1]), ones([2]))],
    ["quantizedLinear: x", "a last axis of 3, got the shape [1,2]", () => quantizedLinear(ones([1, 2]), matrix)],
    ["adamW: gradient", "the shape [2], got [1]", () => adamWStep({ value: moment(2), first: moment(2), second: moment(2) }, ones([1]), { learningRate: 1, beta1: 0.9, beta2: 0.9, epsilon: 1, weightDecay: 0, step: 1 })],
  ];

  it.each(cases)("%s", (_, rule, run) => {
    expect(() => scope(run as () => never)).toThrow(expect.objectContaining({ code: "tensor.shape", message: expect.stringContaining(`must have ${rule}`) as string }));
  });

  it("of another type, too", () => {
    expect(() => scope(() => linear(intTensor([1, 2], [1, 2]), ones([2, 2])))).toThrow(expect.objectContaining({ code: "tensor.dtype" }));
    expect(() => scope(() => embedding(ones([2, 2]), tensor([0.5], [1])))).toThrow(expect.objectContaining({ code: "tensor.dtype" }));
  });
});

describe("gradients that cannot be taken", () => {
  const made: Variable[] = [];
  const variable = (path: string): Variable => {
    const one = Variable.from(path, Float32Array.of(1, 2), [2]);
    made.push(one);
    return one;
  };
  afterEach(() => made.splice(0).forEach((one) => one.dispose()));

  it("say which tensor was disposed of in the meantime", () => {
    const v = variable("v");
    const assigned = (): Tensor => {
      const y = sum(mul(v.value, v.value));
      v.assign(ones([2]));
      return y;
    };
    expect(() => scope(() => valueAndGradients(assigned, [v]))).toThrow(expect.objectContaining({ code: "tensor.gradient", message: expect.stringMatching(/^mul: what its gradient reads must live .*got a disposed tensor of shape \[2\]/) as string }));
  });

  it("leave nothing behind when a backward function fails", () => {
    const v = variable("v");
    const failing = (x: Tensor): Tensor => differentiable({ name: "failing", inputs: [x], forward: () => ({ output: mul(x, x), saved: [ones([3])] }), backward: () => { throw new Error("no"); } });
    const before = memory();
    for (let i = 0; i < 3; i++) expect(() => scope(() => valueAndGradients(() => sum(failing(v.value)), [v]))).toThrow("no");
    expect(memory()).toEqual(before);
  });

  it("are refused for two variables of one path", () => {
    const [v, w] = [variable("v"), variable("v")];
    expect(() => scope(() => valueAndGradients(() => sum(mul(v.value, w.value)), [v, w]))).toThrow(expect.objectContaining({ code: "tensor.gradient", message: expect.stringContaining("got v twice") as string }));
  });
});

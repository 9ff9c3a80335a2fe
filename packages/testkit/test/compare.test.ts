import { ops } from "@deft-js/core";
import { describe, expect, it } from "vitest";
import { compareTensors, ConformanceError, demandClose, gradientCheck, maxAbs, sameBits } from "../src/index.ts";

describe("compareTensors", () => {
  const base = { name: "t", expected: [10, 1, 0] };

  it("relates the error to the greatest entry", () =>
    expect(compareTensors({ ...base, actual: [10, 1.05, 0], tolerance: 1e-2, relativeTo: "max" })).toEqual({ name: "t", size: 3, maxError: expect.closeTo(0.05, 12) as number, ratio: expect.closeTo(0.5, 12) as number, worst: 1, ok: true }));

  it("relates the error to each entry", () => {
    expect(compareTensors({ ...base, actual: [10, 1.05, 0], tolerance: 1e-2, relativeTo: "entry" })).toMatchObject({ ratio: expect.closeTo(5, 9) as number, worst: 1, ok: false });
    expect(compareTensors({ ...base, actual: [10, 1, 1e-9], tolerance: 1e-2, relativeTo: "entry" })).toMatchObject({ ratio: Infinity, worst: 2, ok: false });
    expect(compareTensors({ ...base, actual: [10, 1, 1e-9], tolerance: 1e-2, relativeTo: "entry", absolute: 1e-8 }).ok).toBe(true);
  });

  it("takes a reference from outside, and never passes NaN or another size", () => {
    expect(compareTensors({ ...base, actual: [10, 1.5, 0], tolerance: 1e-2, relativeTo: "max", reference: 100 }).ok).toBe(true);
    expect(compareTensors({ ...base, actual: [10, NaN, 0], tolerance: 1, relativeTo: "max" })).toMatchObject({ maxError: NaN, ok: false, worst: 1 });
    expect(compareTensors({ ...base, actual: [10, 1], tolerance: 1, relativeTo: "max" }).ok).toBe(false);
    expect(compareTensors({ name: "zeros", actual: [0], expected: [0], tolerance: 0, relativeTo: "max" }).ok).toBe(true);
  });

  it("names the worst entry when demanded", () => {
    expect(() => demandClose({ ...base, actual: [10, 1.5, 0], tolerance: 1e-2, relativeTo: "max" })).toThrow(ConformanceError);
    expect(() => demandClose({ ...base, actual: [10, 1.5, 0], tolerance: 1e-2, relativeTo: "max" })).toThrow("t: must agree within 0.01 relative to max, got 5.00 times that at [1] 1.5 for 1");
  });
});

it("sameBits tells equal arrays but for the sign of zero", () => {
  expect(sameBits([0, NaN], [-0, NaN])).toBe(true);
  expect(sameBits([1], [1 + 2 ** -23])).toBe(false);
  expect(sameBits([1], [1, 2])).toBe(false);
  expect(maxAbs([1, -3, 2])).toBe(3);
});

describe("gradientCheck", () => {
  const x = ops.Variable.from("x", Float32Array.of(0.5, -1, 2), [3]);
  const weights = ops.tensor([1, 2, 3], [3]);

  it("passes a true gradient and restores the values", () => {
    const results = gradientCheck({ name: "Σ w·x²", f: () => ops.sum(ops.mul(weights, ops.square(x.value))), variables: [x], step: 1e-2, tolerance: 1e-3 });
    expect(results).toEqual([expect.objectContaining({ name: "x", size: 3, ok: true })]);
    expect([...x.data()]).toEqual([0.5, -1, 2]);
    expect(gradientCheck({ name: "one entry", f: () => ops.sum(ops.square(x.value)), variables: [x], step: 1e-2, tolerance: 1e-3, samples: 1 })[0]?.size).toBe(1);
  });

  it("catches a wrong one", () => {
    const wrong = (): ops.Tensor =>
      ops.sum(ops.differentiable({ name: "wrong", inputs: [x.value], forward: () => ({ output: ops.tf.square(x.value) }), backward: (dy) => [ops.tf.mul(dy.value(), 2)] }));
    expect(() => gradientCheck({ name: "wrong", f: wrong, variables: [x], step: 1e-2, tolerance: 1e-2 })).toThrow(/^wrong: the gradient of x must be the central difference within 0\.01 of /);
  });
});

import { beforeAll, expect, test } from "vitest";
import { describeNative, error, numbers, optional, run, start } from "./native.ts";
import { norm } from "./reference.ts";

describeNative("norm", (isa) => {
  beforeAll(() => start({ isa }));

  test.each([[1, 1], [3, 5], [17, 33], [70, 768], [0, 4]] as const)("layer and RMS norm of %i × %i, with and without residual", (rows, n) => {
    const [x, residual, gamma, beta, dy] = [numbers(rows * n), numbers(rows * n, 2), numbers(n, 3), numbers(n, 4), numbers(rows * n, 5)];
    const shape = [rows, n];
    for (const kind of ["layer", "rms"] as const)
      for (const other of [residual, undefined]) {
        const z = x.map((v, i) => v + (other === undefined ? 0 : (other[i] as number)));
        const expected = norm(kind === "rms", z, gamma, kind === "rms" ? undefined : beta, 1e-5, rows, n, dy);
        const inputs = { x: [x, shape], residual: optional(other, shape), gamma: [gamma, [n]], beta: optional(kind === "rms" ? undefined : beta, [n]) } as const;
        const [y, mean, rstd, sum] = run("DeftNorm", inputs, { kind, epsilon: 1e-5 }) as [F, F, F, F];
        expect(error(y, expected.y)).toBeLessThan(3e-6);
        if (other !== undefined) expect(error(sum, z)).toBe(0);
        const given = { dy: [dy, shape], z: [z, shape], gamma: [gamma, [n]], mean: [mean, [rows]], rstd: [rstd, [rows]] } as const;
        const [dz, dGamma, dBeta] = run("DeftNormGradient", given, { kind, parameters: true }) as [F, F, F | undefined];
        if (n > 1) expect(error(dz, expected.dz)).toBeLessThan(2e-5);
        expect(error(dGamma, expected.dGamma)).toBeLessThan(1e-5);
        if (kind === "layer") expect(error(dBeta as F, expected.dBeta)).toBeLessThan(1e-5);
        else expect(dBeta).toBeUndefined();
        expect(run("DeftNormGradient", given, { kind, parameters: false })).toHaveLength(1);
      }
  });

  test("a constant row gives β", () => {
    const beta = numbers(40, 2);
    const [y] = run("DeftNorm", { x: [new Float32Array(40).fill(3), [1, 40]], gamma: [numbers(40), [40]], beta: [beta, [40]] }, { kind: "layer", epsilon: 1e-12 });
    expect(y).toEqual(beta);
  });
});

type F = Float32Array;

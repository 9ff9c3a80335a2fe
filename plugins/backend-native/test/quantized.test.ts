import { dequantizedRows, type BlockScales, type QuantizedMatrix } from "@deft-js/tensor";
import { beforeAll, expect, test } from "vitest";
import { loadAddon } from "../src/addon.ts";
import { describeNative, error, numbers, optional, run, start } from "./native.ts";
import { product } from "./reference.ts";

const codes = (n: number): Uint8Array => Uint8Array.from({ length: n }, (_, i) => (i * 151 + (i >> 3) * 7 + 13) & 255);

function matrix(encoding: QuantizedMatrix["encoding"], dIn: number, dOut: number, nested: boolean): QuantizedMatrix {
  const blockSize = encoding === "int8" ? Math.max(1, dIn) : 64;
  const blocks = Math.ceil((dIn * dOut) / blockSize);
  const scales: BlockScales = nested ? { codes: codes(blocks), codebook: numbers(256, 7), blockSize: 256, scales: numbers(Math.ceil(blocks / 256), 8), offset: 0.5 } : { values: numbers(blocks, 9) };
  const bytes = encoding === "int8" ? dIn * dOut : Math.ceil((dIn * dOut) / 2);
  return { dOut, dIn, encoding, codes: codes(bytes), codebook: encoding === "int8" ? undefined : numbers(16, 6), blockSize, scales };
}

// straight from the codes and by panels; more than one panel in each direction; lengths that no vector divides
const SIZES = [[1, 128, 3], [4, 384, 40], [7, 1024, 5], [8, 64, 5], [1, 31, 9], [9, 257, 33], [33, 1600, 200], [3, 0, 4], [2, 64, 0], [0, 128, 3], [70, 40, 1100]] as const;

describeNative("quantized linear", (isa) => {
  beforeAll(() => start({ isa }));

  test.each(SIZES)("y = x·Wᵀ + b and dx = dy·W for %i × %i → %i", (rows, dIn, dOut) => {
    for (const [encoding, nested] of [["codebook4", false], ["codebook4", true], ["int8", false]] as const) {
      const w = matrix(encoding, dIn, dOut, nested);
      const dense = dequantizedRows(w, 0, dOut);
      const [x, dy, b] = [numbers(rows * dIn, 1), numbers(rows * dOut, 2), numbers(dOut, 3)];
      const plain = product(x, dense, rows, dOut, dIn, false, true);
      for (const bias of [b, undefined]) {
        const [y] = run("DeftQuantizedLinear", { x: [x, [rows, dIn]], bias: optional(bias, [dOut]) }, { matrix: w });
        expect(error(y as Float32Array, plain.map((v, i) => v + (bias?.[i % dOut] ?? 0)))).toBeLessThan(3e-6);
      }
      const [dx] = run("DeftQuantizedLinearInputGradient", { dy: [dy, [rows, dOut]] }, { matrix: w });
      expect(error(dx as Float32Array, product(dy, dense, rows, dIn, dOut))).toBeLessThan(3e-6);
    }
  });

  test("arrays that do not fit the matrix are refused", () => {
    const f = (n: number): Float32Array => new Float32Array(n);
    const u = (n: number): Uint8Array => new Uint8Array(n);
    const addon = loadAddon();
    const call = (...args: unknown[]) => (): void => (addon.quantizedLinear as (...a: unknown[]) => void)(...args);
    expect(call(1, 2, 64, false, 64, u(63), f(16), f(2), null, null, 1, 0, f(64), null, f(2))).toThrow("native quantizedLinear: codes must hold 64 values, got 63.");
    expect(call(1, 2, 64, false, 64, u(64), null, f(2), null, null, 1, 0, f(64), null, f(2))).toThrow("codebook must be a Float32Array");
    expect(call(1, 2, 64, false, 64, u(64), f(16), f(1), null, null, 1, 0, f(64), null, f(2))).toThrow("scales must hold 2 values, got 1");
    expect(call(1, 2, 64, false, 64, u(64), f(16), f(1), u(2), null, 256, 0, f(64), null, f(2))).toThrow("scaleCodebook must be a Float32Array");
    expect(call(1, 2, 64, false, 0, u(64), f(16), f(2), null, null, 1, 0, f(64), null, f(2))).toThrow("block must be a whole number");
  });
});

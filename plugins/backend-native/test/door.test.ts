import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { loadAddon, type Addon } from "../src/addon.ts";
import { nativeStatus, registerNative } from "../src/index.ts";

const f = (n: number): Float32Array => new Float32Array(n);

describe.skipIf(!nativeStatus().built)("the addon's door", () => {
  let addon: Addon;
  beforeAll(() => {
    registerNative();
    addon = loadAddon();
  });

  test("sizes and arrays must agree, and the message says which did not", () => {
    expect(() => addon.linear(0, false, 2, 3, 4, f(5), f(12), null, null, f(8), null, false)).toThrow("native linear: x must hold 6 values, got 5.");
    expect(() => addon.linear(0, false, 2, 3, 4, f(6), f(12), null, f(3), f(8), null, false)).toThrow("native linear: bias must hold 4 values, got 3.");
    expect(() => addon.linear(9, false, 2, 3, 4, f(6), f(12), null, null, f(8), null, false)).toThrow("native linear: activation must be a whole number in [0, 6]");
  });

  test("types are checked", () => {
    const wrong = new Int32Array(6) as unknown as Float32Array;
    expect(() => addon.unary(0, 6, wrong, f(6))).toThrow("native unary: x must be a Float32Array.");
    expect(() => addon.unary(0, 6, null, f(6))).toThrow("native unary: x must be a Float32Array.");
    expect(() => addon.linear(0, 1 as unknown as boolean, 2, 3, 4, f(6), f(12), null, null, f(8), null, false)).toThrow("transposed must be true or false");
    expect(() => addon.linear(0, false, 2, 3, 4, f(6), f(12), {} as never, null, f(8), null, false)).toThrow("packed must be a packed weight");
    expect(() => addon.softmax(1.5, 3, f(4), f(4))).toThrow("rows must be a whole number");
    expect(() => (addon.unary as () => void)()).toThrow("native unary: op is missing.");
  });

  test("indices, labels and strides cannot reach outside", () => {
    expect(() => addon.gather(2, 3, 2, f(6), Int32Array.of(0, 3), f(4))).toThrow("native gather: ids must lie in [0, 3), got 3 at 1.");
    expect(() => addon.scatterAdd(1, 3, 2, Int32Array.of(-1), f(2), f(6))).toThrow("ids must lie in");
    expect(() => addon.crossEntropy(-100, 1, 3, f(3), Int32Array.of(3), f(1), f(1))).toThrow("labels must lie in");
    expect(() => addon.binary(0, 1, 1, 2, 3, 0, 0, 3, 1, 0, 0, 9, 1, 6, 6, f(6), f(6), f(6))).toThrow("strides reach past the end");
    expect(() => addon.transpose(1, 1, 2, 3, 0, 1, 2, 2, f(6), f(6))).toThrow("positions must be a permutation");
    expect(() => addon.copyBlock(2, 4, 3, 2, 0, 2, f(8), f(4))).toThrow("block is wider than its row");
  });

  test("sizes whose product overflows are refused", () => {
    const huge = 2 ** 31 - 1;
    expect(() => addon.density(1e-3, huge, huge, huge, f(1), f(1), f(1))).toThrow("sizes are too large");
  });

  test("a detached buffer is refused", () => {
    const x = f(6);
    structuredClone(x, { transfer: [x.buffer as ArrayBuffer] });
    expect(() => addon.unary(0, 6, x, f(6))).toThrow("x must hold 6 values, got 0");
  });

  test("no mixture of arguments does more than throw", () => {
    const anything = fc.oneof(fc.integer({ min: -3, max: 9 }), fc.double(), fc.boolean(), fc.constant(null), fc.constant(undefined), fc.string({ maxLength: 3 }), fc.nat(9).map((n) => f(n)), fc.nat(9).map((n) => new Int32Array(n)));
    const names = Object.keys(addon).filter((name) => !["configure", "allocate", "describe"].includes(name));
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.array(anything, { maxLength: 20 }), (name, args) => {
        try {
          (addon as unknown as Record<string, (...a: unknown[]) => unknown>)[name]?.(...args);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
      { numRuns: 3000 },
    );
  });

  test("an instruction set that the machine lacks is refused", () => {
    expect(() => registerNative({ isa: "mmx" as "avx2" })).toThrow(/instruction set mmx is not available here; known: auto,portable/);
  });
});

import { existsSync } from "node:fs";
import { join } from "node:path";
import { readSafetensors } from "@deft-js/checkpoint";
import { ops, type NamedArray } from "@deft-js/core";
import { describe, expect, it } from "vitest";
import { DYNAMIC_MAP, FP4, fp4, int8, NF4, nf4, type QuantizedWeight } from "../src/index.ts";

const FILE = join(import.meta.dirname, "../../../../shared/goldens/quantization/expected.safetensors");
const CASES = ["w64x128", "w_odd_7x33", "w_big_300x64", "w_edge_zero_outlier_grid"];
const there = existsSync(FILE);
if (!there) console.warn(`quantization: the comparison with bitsandbytes is skipped: ${FILE} is not there.`);

describe.skipIf(!there)("bitsandbytes' bits", async () => {
  const tensors = there ? (await readSafetensors(FILE)).tensors : new Map<string, NamedArray>();
  const values = (name: string): Float32Array => (tensors.get(name) as NamedArray).values;
  const equal = (actual: ArrayLike<number>, name: string): void => expect(Array.from(actual), name).toEqual(Array.from(values(name)));

  it("has the codebooks", () => {
    equal(NF4.values, "nf4.codebook");
    equal(FP4.values, "fp4.codebook_by_code");
    equal(DYNAMIC_MAP, "dynamic8.codebook");
  });

  describe.each(CASES)("%s", (name) => {
    const encoded = (format: ReturnType<typeof nf4>): QuantizedWeight => {
      const { shape: [dOut = 0, dIn = 0], values: input } = tensors.get(`${name}.input`) as NamedArray;
      return format.encode("w", input, { dOut, dIn }) as QuantizedWeight;
    };
    const dense = ({ matrix }: QuantizedWeight): Float32Array => ops.dequantizedRows(matrix, 0, matrix.dOut);

    it.each([["nf4", nf4], ["fp4", fp4]] as const)("%s", (id, format) => {
      const plain = encoded(format({ doubleQuantization: false }));
      equal(plain.matrix.codes, `${name}.${id}.packed`);
      equal((plain.matrix.scales as { values: Float32Array }).values, `${name}.${id}.absmax`);
      equal(dense(plain), `${name}.${id}.dequant`);
      const double = encoded(format());
      equal(double.matrix.codes, `${name}.${id}.packed`);
      const scales = double.matrix.scales as Exclude<ops.BlockScales, { values: Float32Array }>;
      equal(scales.codes, `${name}.${id}.dq.absmax_codes`);
      equal(scales.scales, `${name}.${id}.dq.absmax_absmax`);
      equal([scales.offset], `${name}.${id}.dq.offset`);
      equal(Array.from(scales.codes, (_, i) => ops.scaleOf(scales, i)), `${name}.${id}.dq.absmax_dequant`);
      equal(dense(double), `${name}.${id}.dq.dequant`);
    });

    it.each([["int8_row", "row"], ["int8_tensor", "matrix"]] as const)("%s", (id, scale) => {
      const weight = encoded(int8({ scale }));
      equal(new Int8Array(weight.matrix.codes.buffer), `${name}.${id}.codes`);
      equal((weight.matrix.scales as { values: Float32Array }).values, `${name}.${id}.absmax`);
      equal(dense(weight), `${name}.${id}.dequant`);
    });
  });
});

import type { KernelTable } from "@deft-js/tensor";
import type { QuantizedArguments } from "../addon.ts";
import { asMatrix, required, type FusedKernel } from "../kernel.ts";

function matrixArguments({ dOut, dIn, encoding, codes, codebook, blockSize, scales }: KernelTable["DeftQuantizedLinear"]["matrix"]): QuantizedArguments {
  const matrix = [dOut, dIn, encoding === "int8", blockSize, codes, codebook ?? null] as const;
  return "values" in scales ? [...matrix, scales.values, null, null, 1, 0] : [...matrix, scales.scales, scales.codes, scales.codebook, scales.blockSize, scales.offset];
}

/** y = x·Wᵀ + b. */
export const quantizedLinear: FusedKernel<"DeftQuantizedLinear"> = (backend, inputs, { matrix }) => {
  const x = required(inputs, "x", "quantized linear");
  const { bias } = inputs;
  const [rows] = asMatrix(x);
  const [y, values] = backend.make([...x.shape.slice(0, -1), matrix.dOut]);
  backend.addon.quantizedLinear(rows, ...matrixArguments(matrix), backend.floats(x), bias ? backend.floats(bias) : null, values);
  return [y];
};

/** dx = dy·W. */
export const quantizedLinearInputGradient: FusedKernel<"DeftQuantizedLinearInputGradient"> = (backend, inputs, { matrix }) => {
  const dy = required(inputs, "dy", "quantized linear gradient");
  const [rows] = asMatrix(dy);
  const [dx, values] = backend.make([...dy.shape.slice(0, -1), matrix.dIn]);
  backend.addon.quantizedLinearInputGradient(rows, ...matrixArguments(matrix), backend.floats(dy), values);
  return [dx];
};

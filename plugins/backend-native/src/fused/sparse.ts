import { asMatrix, required, type FusedKernel } from "../kernel.ts";
import { decided, decision } from "./decision.ts";

/** y = x'·W + b by the entries of x that count. */
export const sparseLinear: FusedKernel<"DeftSparseLinear"> = (backend, inputs, { transposed, frozen, breakEven, threshold, keep, onDecision }) => {
  const x = required(inputs, "x", "sparse linear");
  const weight = required(inputs, "weight", "sparse linear");
  const { bias } = inputs;
  const [rows, dIn] = asMatrix(x);
  const dOut = weight.shape[transposed ? 0 : 1] ?? 0;
  const operand = backend.weight(weight, { direction: "forward", transposed, frozen, dIn, dOut, rows, rowwise: true });
  const [y, yValues] = backend.make([...x.shape.slice(0, -1), dOut]);
  backend.addon.sparseLinear(breakEven, threshold, keep, transposed, rows, dIn, dOut, backend.floats(x), ...operand, bias ? backend.floats(bias) : null, yValues, decision);
  onDecision?.(decided());
  return y;
};

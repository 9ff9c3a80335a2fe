import { asMatrix, required, type FusedKernel } from "../kernel.ts";
import { decided, decision } from "./decision.ts";

/** y_j = x·W_j + b_j for the outputs that each row wants. */
export const selectedLinear: FusedKernel<"DeftSelectedLinear"> = (backend, inputs, { frozen, breakEven, threshold, onDecision }) => {
  const x = required(inputs, "x", "selected linear");
  const weight = required(inputs, "weight", "selected linear");
  const select = required(inputs, "select", "selected linear");
  const { bias } = inputs;
  const [rows, dIn] = asMatrix(x);
  const dOut = weight.shape[0] ?? 0;
  const operand = backend.weight(weight, { direction: "forward", transposed: true, frozen, dIn, dOut, rows, rowwise: true });
  const [y, yValues] = backend.make([...x.shape.slice(0, -1), dOut]);
  backend.addon.selectedLinear(breakEven, threshold, rows, dIn, dOut, backend.floats(x), ...operand, backend.floats(select), bias ? backend.floats(bias) : null, yValues, decision);
  onDecision?.(decided());
  return y;
};

import { ACTIVATIONS } from "../activation.ts";
import { asMatrix, required, type FusedKernel } from "../kernel.ts";

/** y = f(x·W + b), and what is to be saved. */
export const linear: FusedKernel<"DeftLinear"> = (backend, inputs, { activation, transposed, frozen, save }) => {
  const x = required(inputs, "x", "linear");
  const weight = required(inputs, "weight", "linear");
  const [rows, dIn] = asMatrix(x);
  const dOut = weight.shape[transposed ? 0 : 1] ?? 0;
  const operand = backend.weight(weight, { direction: "forward", transposed, frozen, dIn, dOut, rows });
  const shape = [...x.shape.slice(0, -1), dOut];
  const [y, yValues] = backend.make(shape);
  const [saved, savedValues] = save === undefined ? [undefined, null] : backend.make(shape);
  const bias = inputs["bias"];
  backend.addon.linear(ACTIVATIONS[activation], transposed, rows, dIn, dOut, backend.floats(x), ...operand, bias ? backend.floats(bias) : null, yValues, savedValues, save === "slope");
  return saved === undefined ? [y] : [y, saved];
};

/** dx = sum + dy·Wᵀ. */
export const linearInputGradient: FusedKernel<"DeftLinearInputGradient"> = (backend, inputs, { transposed, frozen }) => {
  const dy = required(inputs, "dy", "linear gradient");
  const weight = required(inputs, "weight", "linear gradient");
  const [rows, dOut] = asMatrix(dy);
  const dIn = weight.shape[transposed ? 1 : 0] ?? 0;
  const operand = backend.weight(weight, { direction: "backward", transposed, frozen, dIn, dOut, rows });
  const { sum } = inputs;
  const [dx, values] = sum === undefined ? backend.make([...dy.shape.slice(0, -1), dIn]) : backend.continued(sum);
  backend.addon.linearInputGradient(transposed, sum !== undefined, rows, dIn, dOut, backend.floats(dy), ...operand, values);
  return [dx];
};

/** dW = xᵀ·dy in the weight's own order. */
export const linearWeightGradient: FusedKernel<"DeftLinearWeightGradient"> = (backend, inputs, { transposed }) => {
  const x = required(inputs, "x", "linear gradient");
  const dy = required(inputs, "dy", "linear gradient");
  const [rows, dIn] = asMatrix(x);
  const [, dOut] = asMatrix(dy);
  const [dw, values] = backend.make(transposed ? [dOut, dIn] : [dIn, dOut]);
  backend.addon.linearWeightGradient(transposed, rows, dIn, dOut, backend.floats(x), backend.floats(dy), values);
  return [dw];
};

/** db = Σ_rows dy. */
export const rowSum: FusedKernel<"DeftRowSum"> = (backend, inputs) => {
  const dy = required(inputs, "dy", "row sum");
  const [rows, n] = asMatrix(dy);
  const [sum, values] = backend.make([n]);
  backend.addon.sumFirst(1, rows, n, backend.floats(dy), values);
  return [sum];
};

/** y = base + s·(x·A)·B, and x·A. */
export const lowRank: FusedKernel<"DeftLowRank"> = (backend, inputs, { scale }) => {
  const x = required(inputs, "x", "low rank");
  const base = required(inputs, "base", "low rank");
  const down = required(inputs, "down", "low rank");
  const [rows, dIn] = asMatrix(x);
  const [, dOut] = asMatrix(base);
  const rank = down.shape[1] ?? 0;
  const [y, yValues] = backend.make(base.shape);
  const [xa, xaValues] = backend.make([rows, rank]);
  const up = backend.floats(required(inputs, "up", "low rank"));
  backend.addon.lowRank(scale, rows, dIn, dOut, rank, backend.floats(x), backend.floats(base), backend.floats(down), up, yValues, xaValues);
  return [y, xa];
};

/** dA, dB and sum + dx of the low-rank branch. */
export const lowRankGradient: FusedKernel<"DeftLowRankGradient"> = (backend, inputs, { scale, needsX }) => {
  const [x, xa, dy, down, up] = ["x", "xa", "dy", "down", "up"].map((name) => required(inputs, name, "low rank gradient")) as [Info, Info, Info, Info, Info];
  const [rows, dIn] = asMatrix(x);
  const [, dOut] = asMatrix(dy);
  const rank = down.shape[1] ?? 0;
  const { sum } = inputs;
  const [dx, dxValues] = !needsX ? [undefined, null] : sum === undefined ? backend.make(x.shape) : backend.continued(sum);
  const [dDown, dDownValues] = backend.make([dIn, rank]);
  const [dUp, dUpValues] = backend.make([rank, dOut]);
  const dxa = backend.pool.take(rows * rank);
  const given = [x, xa, dy, down, up].map((tensor) => backend.floats(tensor)) as [Float32Array, Float32Array, Float32Array, Float32Array, Float32Array];
  backend.addon.lowRankGradient(scale, needsX && sum !== undefined, rows, dIn, dOut, rank, ...given, dxValues, dDownValues, dUpValues, dxa);
  backend.pool.give(dxa);
  return dx === undefined ? [dDown, dUp] : [dDown, dUp, dx];
};

type Info = Parameters<typeof asMatrix>[0];

import type { tf } from "@deft-js/tensor";
import { asMatrix, required, type FusedKernel, type Inputs } from "../kernel.ts";
import type { Compute } from "../compute.ts";
import { multiply, type Epilogue, type Operand } from "./product.ts";
import { rowSums } from "./row-sum.ts";

/** A whole tensor as a matrix. */
function matrix(tensor: tf.TensorInfo, transposed = false): Operand {
  return { tensor, transposed, stride: asMatrix(tensor)[1] };
}

/** y = f(x·W + b), and what is to be saved. */
export const linear: FusedKernel<"DeftLinear"> = (compute, inputs, { activation, transposed, save }) => {
  const [x, weight] = [required(inputs, "x"), required(inputs, "weight")];
  const [m, k] = asMatrix(x);
  const n = weight.shape[transposed ? 0 : 1] ?? 0;
  const shape = [...x.shape.slice(0, -1), n];
  const y = compute.make(shape);
  const saved = save === undefined ? undefined : { tensor: compute.make(shape), as: save };
  multiply(compute, { m, n, k, a: matrix(x), b: matrix(weight, transposed), y: matrix(y), epilogue: { activation, bias: inputs["bias"], saved } });
  return saved === undefined ? [y] : [y, saved.tensor];
};

/** Where sum + dx goes, and how: into the sum's memory where that is free to take. */
function onto(compute: Compute, inputs: Inputs, shape: readonly number[]): { readonly dx: tf.TensorInfo; readonly epilogue: Epilogue } {
  const { sum } = inputs;
  const own = compute.taken(sum, inputs);
  return own === undefined ? { dx: compute.make(shape), epilogue: { added: sum } } : { dx: own, epilogue: { added: "onto" } };
}

/** dx = sum + dy·Wᵀ. */
export const linearInputGradient: FusedKernel<"DeftLinearInputGradient"> = (compute, inputs, { transposed }) => {
  const [dy, weight] = [required(inputs, "dy"), required(inputs, "weight")];
  const [m, k] = asMatrix(dy);
  const n = weight.shape[transposed ? 1 : 0] ?? 0;
  const { dx, epilogue } = onto(compute, inputs, inputs["sum"]?.shape ?? [...dy.shape.slice(0, -1), n]);
  multiply(compute, { m, n, k, a: matrix(dy), b: matrix(weight, !transposed), y: matrix(dx), epilogue });
  return [dx];
};

/** dW = xᵀ·dy in the weight's own order. */
export const linearWeightGradient: FusedKernel<"DeftLinearWeightGradient"> = (compute, inputs, { transposed }) => {
  const [x, dy] = [required(inputs, "x"), required(inputs, "dy")];
  const [k, dIn] = asMatrix(x);
  const [, dOut] = asMatrix(dy);
  const [m, n] = transposed ? [dOut, dIn] : [dIn, dOut];
  const dW = compute.make([m, n]);
  const [a, b] = transposed ? [dy, x] : [x, dy];
  multiply(compute, { m, n, k, a: matrix(a, true), b: matrix(b), y: matrix(dW) });
  return [dW];
};

/** db = Σ_rows dy. */
export const rowSum: FusedKernel<"DeftRowSum"> = (compute, inputs) => {
  const dy = required(inputs, "dy");
  const [rows, n] = asMatrix(dy);
  const sum = compute.make([n]);
  rowSums(compute, { program: "row sum", rows, n, reads: { dy }, sums: { sum: "dy[i]" }, writes: { sum } });
  return [sum];
};

/** y = base + s·(x·A)·B, and x·A. */
export const lowRank: FusedKernel<"DeftLowRank"> = (compute, inputs, { scale }) => {
  const [x, base, down, up] = [required(inputs, "x"), required(inputs, "base"), required(inputs, "down"), required(inputs, "up")];
  const [m, dIn] = asMatrix(x);
  const [rank = 0, dOut = 0] = up.shape;
  const xa = compute.make([m, rank]);
  const y = compute.make(base.shape);
  multiply(compute, { m, n: rank, k: dIn, a: matrix(x), b: matrix(down), y: matrix(xa) });
  multiply(compute, { m, n: dOut, k: rank, a: matrix(xa), b: matrix(up), y: matrix(y), alpha: scale, epilogue: { added: base } });
  return [y, xa];
};

/** With dxa = s·dy·Bᵀ: dA = xᵀ·dxa, dB = s·(x·A)ᵀ·dy, dx = sum + dxa·Aᵀ. */
export const lowRankGradient: FusedKernel<"DeftLowRankGradient"> = (compute, inputs, { scale, needsX }) => {
  const [x, xa, dy, down, up] = [required(inputs, "x"), required(inputs, "xa"), required(inputs, "dy"), required(inputs, "down"), required(inputs, "up")];
  const [rows, dIn] = asMatrix(x);
  const [rank = 0, dOut = 0] = up.shape;
  const [dxa, dDown, dUp] = [compute.make([rows, rank]), compute.make(down.shape), compute.make(up.shape)];
  multiply(compute, { m: rows, n: rank, k: dOut, a: matrix(dy), b: matrix(up, true), y: matrix(dxa), alpha: scale });
  multiply(compute, { m: dIn, n: rank, k: rows, a: matrix(x, true), b: matrix(dxa), y: matrix(dDown) });
  multiply(compute, { m: rank, n: dOut, k: rows, a: matrix(xa, true), b: matrix(dy), y: matrix(dUp), alpha: scale });
  const results = [dDown, dUp];
  if (needsX) {
    const { dx, epilogue } = onto(compute, inputs, x.shape);
    multiply(compute, { m: rows, n: dIn, k: rank, a: matrix(dxa), b: matrix(down, true), y: matrix(dx), epilogue });
    results.push(dx);
  }
  compute.free(dxa);
  return results;
};

import type { Addon } from "../addon.ts";
import { asMatrix, required, sizeOf, type FusedKernel } from "../kernel.ts";

/** The mean cross entropy and each row's log Σ exp. */
export const crossEntropy: FusedKernel<"DeftCrossEntropy"> = (backend, inputs, { ignoreIndex }) => {
  const logits = required(inputs, "logits", "cross entropy");
  const labels = backend.integers(required(inputs, "labels", "cross entropy"));
  const [rows, n] = asMatrix(logits);
  const [loss, lossValues] = backend.make([]);
  const [logSumExp, logValues] = backend.make([rows]);
  backend.addon.crossEntropy(ignoreIndex, rows, n, backend.floats(logits), labels, lossValues, logValues);
  return [loss, logSumExp];
};

/** dlogits = dy·(softmax − one-hot)/count, zero in ignored rows. */
export const crossEntropyGradient: FusedKernel<"DeftCrossEntropyGradient"> = (backend, inputs, { ignoreIndex }) => {
  const logits = required(inputs, "logits", "cross entropy gradient");
  const labels = backend.integers(required(inputs, "labels", "cross entropy gradient"));
  const logSumExp = backend.floats(required(inputs, "logSumExp", "cross entropy gradient"));
  const dy = backend.floats(required(inputs, "dy", "cross entropy gradient"));
  const [rows, n] = asMatrix(logits);
  const [dLogits, values] = backend.make(logits.shape);
  backend.addon.crossEntropyGradient(ignoreIndex, rows, n, backend.floats(logits), labels, logSumExp, dy, values);
  return [dLogits];
};

/** y[i] = table[ids[i]]. */
export const gather: FusedKernel<"DeftGather"> = (backend, inputs) => {
  const table = required(inputs, "table", "gather");
  const ids = required(inputs, "ids", "gather");
  const [size, n] = asMatrix(table);
  const [y, values] = backend.make([...ids.shape, n]);
  backend.addon.gather(sizeOf(ids), size, n, backend.floats(table), backend.integers(ids), values);
  return [y];
};

/** out[ids[i]] += dy[i]. */
export const scatterAdd: FusedKernel<"DeftScatterAdd"> = (backend, inputs, { size }) => {
  const ids = required(inputs, "ids", "scatter");
  const dy = required(inputs, "dy", "scatter");
  const [rows, n] = asMatrix(dy);
  const [out, values] = backend.make([size, n]);
  backend.addon.scatterAdd(rows, size, n, backend.integers(ids), backend.floats(dy), values);
  return [out];
};

/** One AdamW step on value, m and v in place. */
export const adamW: FusedKernel<"DeftAdamW"> = (backend, inputs, attrs) => {
  const value = required(inputs, "value", "adamW");
  const m = required(inputs, "m", "adamW");
  const v = required(inputs, "v", "adamW");
  const gradient = backend.floats(required(inputs, "gradient", "adamW"));
  const { learningRate, beta1, beta2, epsilon, weightDecay, step } = attrs;
  backend.addon.adamW(learningRate, beta1, beta2, epsilon, weightDecay, step, sizeOf(value), backend.writable(value), backend.writable(m), backend.writable(v), gradient);
  return [];
};

/** Σx of each input. */
export const sums = ofEach((addon, x, sum) => addon.sumLast(1, 1, x.length, x, sum));

/** Σx² of each input. */
export const squaredNorms = ofEach((addon, x, sum) => {
  sum[0] = addon.squaredNorm(x.length, x);
});

function ofEach(summed: (addon: Addon, x: Float32Array, sum: Float32Array) => void): FusedKernel<"DeftSums" | "DeftSquaredNorms"> {
  return (backend, inputs) => {
    const tensors = Object.values(inputs); // a record has whole-numbered names in order
    const [made, values] = backend.make([tensors.length]);
    for (const [i, x] of tensors.entries()) summed(backend.addon, backend.floats(x), values.subarray(i, i + 1));
    return [made];
  };
}

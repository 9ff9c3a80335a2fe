import { asMatrix, required, sizeOf, type FusedKernel, type TfjsKernel } from "../kernel.ts";
import { eachColumn, perRow, rowGroups } from "../wgsl.ts";

/** `top` and `sum` of exponentials below it, of a row of `x`. The maximum starts at the lowest float32, so that a row of finfo.min is uniform. */
const exponentials = (x: string): string => /* wgsl */ `
  var most = -3.4028234663852886e38;
  ${eachColumn(`most = max(most, ${x}[i]);`)}
  let top = largest(lane, most);
  var part = 0.0;
  ${eachColumn(`part += exp(${x}[i] - top);`)}
  let sum = total(lane, part);`;

/** The mean cross entropy over the rows that count, NaN where none does, and each row's log Σ exp. */
export const crossEntropy: FusedKernel<"DeftCrossEntropy"> = (compute, inputs, { ignoreIndex }) => {
  const [logits, labels] = [required(inputs, "logits"), required(inputs, "labels")];
  const [rows, n] = asMatrix(logits);
  const [loss, logSumExp, losses] = [compute.make([]), compute.make([rows]), compute.make([rows])];
  compute.run({
    program: "cross entropy of rows",
    code: () => perRow(`${exponentials("logits")}
  if (lane == 0u) {
    let level = top + log(sum);
    let label = u32(labels[row]);
    logSumExp[row] = level;
    let own = select(level - logits[row * numbers.n + min(label, numbers.n - 1u)], bitcast<f32>(numbers.nan), label >= numbers.n); // no class: must not pass unseen
    losses[row] = select(own, 0.0, label == numbers.ignored);
  }`),
    reads: { logits, labels },
    writes: { logSumExp, losses },
    numbers: { integers: { rows, n, ignored: ignoreIndex, nan: NAN_BITS } },
    workgroups: rowGroups(n === 0 ? 0 : rows),
  });
  compute.run({
    program: "cross entropy",
    code: () => perRow(`
  var counted = 0.0;
  var part = 0.0;
  for (var i = lane; i < numbers.n; i += LANES) {
    counted += select(1.0, 0.0, u32(labels[i]) == numbers.ignored);
    part += losses[i];
  }
  let count = total(lane, counted);
  let sum = total(lane, part);
  if (lane == 0u) { loss[0] = select(sum / count, bitcast<f32>(numbers.nan), count == 0.0); }`),
    reads: { labels, losses },
    writes: { loss },
    numbers: { integers: { rows: 1, n: rows, ignored: ignoreIndex, nan: NAN_BITS } },
    workgroups: [1, 1, 1],
  });
  compute.free(losses);
  return [loss, logSumExp];
};

/** A NaN; WGSL has no way to write one down. */
const NAN_BITS = 0x7fc00000;

/** dlogits = dy·(softmax − one-hot)/count, zero in ignored rows. Each row counts the labels for itself. */
export const crossEntropyGradient: FusedKernel<"DeftCrossEntropyGradient"> = (compute, inputs, { ignoreIndex }) => {
  const [logits, labels, logSumExp, dy] = [required(inputs, "logits"), required(inputs, "labels"), required(inputs, "logSumExp"), required(inputs, "dy")];
  const [rows, n] = asMatrix(logits);
  const dLogits = compute.make(logits.shape);
  compute.run({
    program: "cross entropy gradient",
    code: () => perRow(`
  var counted = 0.0;
  for (var r = lane; r < numbers.rows; r += LANES) { counted += select(1.0, 0.0, u32(labels[r]) == numbers.ignored); }
  let count = total(lane, counted);
  let label = u32(labels[row]);
  let factor = select(dy[0] / count, 0.0, label == numbers.ignored);
  let level = logSumExp[row];
  ${eachColumn("dLogits[i] = factor * (exp(logits[i] - level) - select(0.0, 1.0, column == label));")}`),
    reads: { logits, labels, logSumExp, dy },
    writes: { dLogits },
    numbers: { integers: { rows, n, ignored: ignoreIndex } },
    workgroups: rowGroups(sizeOf(logits) === 0 ? 0 : rows),
  });
  return [dLogits];
};

/** softmax over the last axis. tfjs's own starts its maximum at −3.402823e38, above finfo.min, and gives NaN for a row of masked scores. */
export const softmax: TfjsKernel = (compute, inputs) => {
  const x = required(inputs, "logits");
  const [rows, n] = asMatrix(x);
  const y = compute.make(x.shape);
  compute.run({
    program: "softmax",
    code: () => perRow(`${exponentials("x")}
  ${eachColumn("y[i] = exp(x[i] - top) / sum;")}`),
    reads: { x },
    writes: { y },
    numbers: { integers: { rows, n } },
    workgroups: rowGroups(n === 0 ? 0 : rows),
  });
  return y;
};

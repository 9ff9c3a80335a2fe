import { DeftError } from "../errors.ts";
import { output, runKernel } from "../run-kernel.ts";
import { differentiable } from "../tape.ts";
import { tf, type Tensor } from "../tfjs.ts";
import { demandShape } from "./check.ts";

/** Options of `crossEntropy`. */
export interface CrossEntropyOptions {
  /** Rows with this label do not count; −100 by default. */
  readonly ignoreIndex?: number;
}

/**
 * −mean over counted rows of log softmax(logits)[label]; NaN when no row counts, as in PyTorch.
 * @param logits [n, classes]
 * @param labels int32 [n], each a class or `ignoreIndex`
 * @returns []
 * @throws DeftError `tensor.shape`; `tensor.labels` for another label; where the back-end cannot read labels before it is done (WebGPU) the loss is NaN
 */
export function crossEntropy(logits: Tensor, labels: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const ignoreIndex = options.ignoreIndex ?? -100;
  demandShape("crossEntropy", "labels", labels, [logits.shape[0] ?? 0]);
  let logSumExp: Tensor | undefined;
  return differentiable({
    name: "crossEntropy",
    inputs: [logits],
    forward: () => {
      const fused = fusedLoss(logits, labels, ignoreIndex);
      if (fused === undefined) {
        checkLabels(labels.dataSync(), logits.shape[1] ?? 0, ignoreIndex);
        return { output: composed(logits, labels, ignoreIndex), saved: [logits, labels] };
      }
      logSumExp = output(fused, 1, "DeftCrossEntropy");
      return { output: output(fused, 0, "DeftCrossEntropy"), saved: [logits, labels, logSumExp] };
    },
    backward: (gradient) => {
      const dy = gradient.value();
      const fused = logSumExp && runKernel("DeftCrossEntropyGradient", { logits, labels, logSumExp, dy }, { ignoreIndex });
      return [fused === undefined ? composedGradient(logits, labels, ignoreIndex, dy) : output(fused, 0, "DeftCrossEntropyGradient")];
    },
  });
}

/** The back-end's own kernel; what it refuses of the labels is said as everywhere else. */
function fusedLoss(logits: Tensor, labels: Tensor, ignoreIndex: number) {
  try {
    return runKernel("DeftCrossEntropy", { logits, labels }, { ignoreIndex });
  } catch (error) {
    checkLabels(labels.dataSync(), logits.shape[1] ?? 0, ignoreIndex);
    throw error;
  }
}

/** A label that is no class would count as a row without a loss. */
function checkLabels(labels: ArrayLike<number>, classes: number, ignoreIndex: number): void {
  for (let row = 0; row < labels.length; row++) {
    const label = labels[row] as number;
    if (label !== ignoreIndex && !(label >= 0 && label < classes))
      throw new DeftError("tensor.labels", `crossEntropy: labels must lie in [0, ${classes}) or be ${ignoreIndex}, got ${label} at ${row}. Correct the data, or give the model as many labels.`);
  }
}

/** Where a row's label stands, [n, classes]; 1 for counted rows, [n]; and their number. */
function targets(logits: Tensor, labels: Tensor, ignoreIndex: number): [hits: Tensor, counted: Tensor, count: Tensor] {
  const counts = tf.notEqual(labels, tf.scalar(ignoreIndex, "int32"));
  const hits = tf.logicalAnd(tf.equal(tf.expandDims(labels, 1), tf.range(0, logits.shape[1] ?? 0, 1, "int32")), tf.expandDims(counts, 1)); // an ignored label may be a class, too
  const counted = tf.cast(counts, "float32");
  return [hits, counted, tf.sum(counted)];
}

function composed(logits: Tensor, labels: Tensor, ignoreIndex: number): Tensor {
  const [hits, , count] = targets(logits, labels, ignoreIndex);
  return tf.neg(tf.div(tf.sum(tf.where(hits, tf.logSoftmax(logits), tf.zerosLike(logits))), count)); // a choice: another class's −∞ is not a label's
}

function composedGradient(logits: Tensor, labels: Tensor, ignoreIndex: number, dy: Tensor): Tensor {
  const [hits, counted, count] = targets(logits, labels, ignoreIndex);
  const difference = tf.sub(tf.mul(tf.softmax(logits), tf.expandDims(counted, 1)), tf.cast(hits, "float32"));
  return tf.mul(difference, tf.div(dy, tf.maximum(count, 1))); // 0 where no row counts, as in PyTorch
}

/** mean (x − y)², the loss of regression tasks, for x and y of one shape. y gets no gradient. Throws `tensor.shape`. */
export function meanSquaredError(x: Tensor, y: Tensor): Tensor {
  demandShape("meanSquaredError", "y", y, x.shape);
  return differentiable({
    name: "meanSquaredError",
    inputs: [x],
    forward: () => ({ output: tf.mean(tf.squaredDifference(x, y)), saved: [x, y] }),
    backward: (dy) => [tf.mul(tf.sub(x, y), tf.mul(dy.value(), 2 / x.size))],
  });
}

import { DeftError } from "@deft-js/core";

/** Predictions and targets of a metric, of the same length. */
export interface MetricInput {
  readonly predictions: ArrayLike<number>;
  readonly targets: ArrayLike<number>;
}

/** Throws `metric.input` unless there are as many predictions as targets, and at least one. */
export function checkMetricInput(name: string, { predictions, targets }: MetricInput): void {
  if (predictions.length === targets.length && targets.length > 0) return;
  throw new DeftError("metric.input", `${name}: needs as many predictions as targets and at least one, got ${predictions.length} and ${targets.length}. Evaluate on a split with rows.`);
}

/**
 * The class with the largest logit of every row, the first of equals.
 * @param logits row-major [n, width]
 * @returns [n]
 */
export function argmaxRows(logits: ArrayLike<number>, width: number): Int32Array {
  return Int32Array.from({ length: logits.length / width }, (_, row) => {
    let best = 0;
    for (let j = 1; j < width; j++) if ((logits[row * width + j] as number) > (logits[row * width + best] as number)) best = j;
    return best;
  });
}

/** Accuracy: the fraction of predictions that equal their target, in [0, 1]. */
export function accuracy(input: MetricInput): number {
  checkMetricInput("accuracy", input);
  const { predictions, targets } = input;
  let right = 0;
  for (let i = 0; i < targets.length; i++) if (predictions[i] === targets[i]) right++;
  return right / targets.length;
}

interface Counts {
  readonly truePositive: number;
  readonly falsePositive: number;
  readonly falseNegative: number;
}

function counts({ predictions, targets }: MetricInput, positive: number): Counts {
  let truePositive = 0;
  let falsePositive = 0;
  let falseNegative = 0;
  for (let i = 0; i < targets.length; i++) {
    const predicted = predictions[i] === positive;
    const actual = targets[i] === positive;
    if (predicted && actual) truePositive++;
    else if (predicted) falsePositive++;
    else if (actual) falseNegative++;
  }
  return { truePositive, falsePositive, falseNegative };
}

/**
 * Binary F1 = 2·TP / (2·TP + FP + FN) of the class `positive` (1 when left out), in [0, 1]; 0 where nothing is positive, as scikit-learn's default.
 */
export function f1(input: MetricInput & { readonly positive?: number | undefined }): number {
  checkMetricInput("f1", input);
  const { truePositive, falsePositive, falseNegative } = counts(input, input.positive ?? 1);
  return truePositive === 0 ? 0 : (2 * truePositive) / (2 * truePositive + falsePositive + falseNegative);
}

/**
 * Matthews correlation of any number of classes, in [−1, 1]: (c·s − Σₖ pₖ·tₖ) / √((s² − Σ pₖ²)(s² − Σ tₖ²)) with c right of s rows, pₖ predicted and tₖ
 * true rows of class k; for two classes (TP·TN − FP·FN) / √((TP+FP)(TP+FN)(TN+FP)(TN+FN)). 0 where one side holds a single class, as scikit-learn.
 * Source: Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient", 2004.
 */
export function matthews(input: MetricInput): number {
  checkMetricInput("matthews", input);
  const { predictions, targets } = input;
  const s = targets.length;
  const right = accuracy(input) * s;
  const [predicted, actual] = [frequencies(predictions), frequencies(targets)];
  let both = 0;
  for (const [k, n] of predicted) both += n * (actual.get(k) ?? 0);
  const spread = (s * s - squares(predicted)) * (s * s - squares(actual));
  return spread === 0 ? 0 : (Math.round(right) * s - both) / Math.sqrt(spread);
}

function frequencies(values: ArrayLike<number>): Map<number, number> {
  const found = new Map<number, number>();
  for (const value of Array.from(values)) found.set(value, (found.get(value) ?? 0) + 1);
  return found;
}

function squares(counted: ReadonlyMap<number, number>): number {
  let sum = 0;
  for (const n of counted.values()) sum += n * n;
  return sum;
}

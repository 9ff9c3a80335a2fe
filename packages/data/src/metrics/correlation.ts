import { checkMetricInput, type MetricInput } from "./classification.ts";

/**
 * Pearson correlation Σ(x−x̄)(y−ȳ) / √(Σ(x−x̄)²·Σ(y−ȳ)²), in [−1, 1]; 0 where one side is constant (SciPy gives NaN there), so that a collapsed model
 * ranks below any that follows the targets.
 */
export function pearson(input: MetricInput): number {
  checkMetricInput("pearson", input);
  const { predictions: x, targets: y } = input;
  const [mx, my] = [mean(x), mean(y)];
  let [xy, xx, yy] = [0, 0, 0];
  for (let i = 0; i < y.length; i++) {
    const dx = (x[i] as number) - mx;
    const dy = (y[i] as number) - my;
    xy += dx * dy;
    xx += dx * dx;
    yy += dy * dy;
  }
  return xx === 0 || yy === 0 ? 0 : Math.max(-1, Math.min(1, xy / Math.sqrt(xx * yy)));
}

/** Spearman correlation: Pearson's of the ranks, equal values having the mean of their ranks; in [−1, 1], 0 where one side is constant. */
export function spearman(input: MetricInput): number {
  checkMetricInput("spearman", input);
  return pearson({ predictions: averageRanks(input.predictions), targets: averageRanks(input.targets) });
}

/** Ranks from 1; equal values share the mean of the ranks that they take up. */
export function averageRanks(values: ArrayLike<number>): Float64Array {
  const order = Array.from({ length: values.length }, (_, i) => i).sort((a, b) => (values[a] as number) - (values[b] as number));
  const ranks = new Float64Array(values.length);
  for (let start = 0; start < order.length; ) {
    let end = start + 1;
    while (end < order.length && values[order[end] as number] === values[order[start] as number]) end++;
    for (let i = start; i < end; i++) ranks[order[i] as number] = (start + 1 + end) / 2;
    start = end;
  }
  return ranks;
}

function mean(values: ArrayLike<number>): number {
  return Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;
}

import { DeftError, type Predictions } from "@deft-js/core";
import { accuracy, argmaxRows, f1, matthews, pearson, spearman, type MetricInput } from "@deft-js/data";
import { GLUE, type GlueMetric } from "./definitions.ts";
import type { GlueName } from "./options.ts";

const METRICS: Readonly<Record<GlueMetric, (input: MetricInput) => number>> = { accuracy, f1, matthews, pearson, spearman };

/**
 * A task's metrics as fractions, in GLUE's order: of the class with the largest logit, or of the one output of STS-B as it is.
 * @throws DeftError `task.width` when the logits are not as wide as the task has labels
 */
export function glueMetrics(name: GlueName, { logits, width, labels }: Predictions): Readonly<Record<string, number>> {
  const definition = GLUE[name];
  const expected = Math.max(1, definition.labels.length);
  if (width !== expected) throw new DeftError("task.width", `glue ${name}: the model must give ${expected} logits a row, got ${width}. Load it with a head of ${expected} labels.`);
  return metricsOf(name, { predictions: width === 1 ? logits : argmaxRows(logits, width), targets: labels });
}

/** A task's metrics of classes or scores, in GLUE's order; a class of −1 is none. */
export function metricsOf(name: GlueName, input: MetricInput): Readonly<Record<string, number>> {
  return Object.fromEntries(GLUE[name].metrics.map((metric) => [metric, METRICS[metric](input)]));
}

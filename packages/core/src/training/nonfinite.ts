import { DeftError } from "@deft-js/tensor";

/** One step's numbers on the host. */
export interface StepScalars {
  /** Each term before its weight, by name. */
  readonly terms: Readonly<Record<string, number>>;
  /** Σ w·loss. */
  readonly loss: number;
  /** ‖∂loss/∂v‖² by variable path. */
  readonly squaredNorms: ReadonlyMap<string, number>;
}

/**
 * Stops a step whose loss or gradient is not finite, before it changes a variable.
 * @param step counted from 1
 * @throws DeftError `training.nonfinite` naming the step, the loss term and the first parameter
 */
export function checkFinite(step: number, { terms, loss, squaredNorms }: StepScalars): void {
  const parameter = [...squaredNorms].find(([, norm]) => !Number.isFinite(norm))?.[0];
  const term = Object.entries(terms).find(([, value]) => !Number.isFinite(value));
  if (parameter === undefined && term === undefined && Number.isFinite(loss)) return;
  const what = term === undefined ? `loss ${loss} with all terms finite` : `${term[0]} = ${term[1]}`;
  const where = parameter === undefined ? "all gradients are finite" : `the first gradient that is not finite is of ${parameter}`;
  throw new DeftError(
    "training.nonfinite",
    `training: loss and gradients must be finite, got ${what} at step ${step}; ${where}. No variable was changed by this step and the last checkpoint stays; lower the learning rate or clip gradients, leave out batches in which no label counts, and check the weights for NaN when it is step 1.`,
  );
}

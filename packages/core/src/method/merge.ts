import { DeftError, scope, Variable, type Tensor } from "@deft-js/tensor";
import type { Model } from "../contracts/model.ts";
import type { Site } from "../contracts/site.ts";
import { DenseWeight } from "../model/dense-weight.ts";

/**
 * Puts another matrix in the place of a linear site's weight, whatever its format was: dense afterwards.
 * @param change from the present matrix [dIn, dOut] to the next
 * @throws DeftError `WHO.weight` when the site has no weight
 */
export function replaceMatrix(model: Model, { path, weight }: Site<"linear">, who: string, change: (matrix: Tensor) => Tensor): void {
  if (weight === undefined) throw new DeftError(`${who}.weight`, `${who}: a linear site must have a weight to merge into, got none at ${path}. Leave the adapter unmerged.`);
  const merged = scope(() => change(weight.dense()));
  const trainable = model.parameters().get(`${path}.weight`)?.trainable ?? false;
  model.replaceWeight(path, new DenseWeight(new Variable(`${path}.weight`, merged, { trainable })));
}

/** Gives a variable the value of a function of its present one. */
export function changeVariable(variable: Variable, change: (value: Tensor) => Tensor): void {
  variable.assign(scope(() => change(variable.value)));
}

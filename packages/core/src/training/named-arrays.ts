import { DeftError, type Variable } from "@deft-js/tensor";
import type { NamedArray } from "../contracts/model.ts";

/** The values of variables on the host, by path, matrices as held. */
export function arraysOf(variables: readonly Variable[]): readonly NamedArray[] {
  return variables.map((variable) => ({ name: variable.path, shape: variable.shape, values: variable.data() }));
}

/**
 * Loads arrays into the variables of the same paths; all are checked before the first is changed.
 * @throws DeftError `training.resume` when a variable has no array, an array no variable, or a shape differs
 */
export function loadArrays(variables: readonly Variable[], arrays: readonly NamedArray[]): void {
  const byName = new Map(arrays.map((array) => [array.name, array]));
  const pairs = variables.map((variable) => [variable, matching(variable, byName.get(variable.path))] as const);
  for (const variable of variables) byName.delete(variable.path);
  const [unexpected] = byName.keys();
  if (unexpected !== undefined)
    throw new DeftError("training.resume", `checkpoint: must hold the variables that are trained, got ${unexpected} besides. Resume with the recipe that wrote it.`);
  for (const [variable, array] of pairs) variable.load(array.values);
}

function matching(variable: Variable, array: NamedArray | undefined): NamedArray {
  if (array === undefined) throw new DeftError("training.resume", `checkpoint: must hold ${variable.path}, got no such array. Resume with the recipe that wrote it.`);
  if (array.shape.join() !== variable.shape.join())
    throw new DeftError("training.resume", `checkpoint: ${variable.path} must have shape [${variable.shape}], got [${array.shape}]. Resume with the recipe that wrote it.`);
  return array;
}

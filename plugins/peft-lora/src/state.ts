import { DeftError, type NamedArray, type ops } from "@deft-js/core";

/** The variables' values as held. */
export function stateOf(variables: readonly ops.Variable[]): readonly NamedArray[] {
  return variables.map((variable) => ({ name: variable.path, shape: variable.shape, values: variable.data() }));
}

/** Takes values by path; all must be there, none else. Nothing changes when it throws `lora.state`. */
export function loadVariables(variables: readonly ops.Variable[], arrays: Iterable<NamedArray>): void {
  const given = new Map([...arrays].map((array) => [array.name, array]));
  const found = variables.map((variable) => {
    const array = given.get(variable.path);
    given.delete(variable.path);
    if (array === undefined) throw stateError(`needs ${variable.path}, got none of that name`);
    checkShape(variable.path, array, variable.shape);
    return array;
  });
  if (given.size > 0) throw stateError(`takes its own tensors alone, got ${[...given.keys()].join(", ")} besides`);
  for (const [i, variable] of variables.entries()) variable.load((found[i] as NamedArray).values);
}

/** Throws `lora.state` unless the array has the shape. */
export function checkShape(name: string, array: NamedArray, shape: readonly number[]): void {
  const size = shape.reduce((n, d) => n * d, 1);
  if (array.shape.length !== shape.length || array.shape.some((n, i) => n !== shape[i]) || array.values.length !== size)
    throw stateError(`${name} must have shape [${shape}], got [${array.shape}] with ${array.values.length} values`);
}

/** A `lora.state` error. */
export function stateError(rule: string): DeftError {
  return new DeftError("lora.state", `lora: ${rule}. Load the state of the same method, options and model.`);
}

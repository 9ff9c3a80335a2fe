import { DeftError, type NamedArray, type ops } from "@deft-js/core";

/** Takes the gates' parameters by path; all must be there, none else. Nothing changes when it throws `gates.state`. */
export function loadGates(variables: readonly ops.Variable[], arrays: Iterable<NamedArray>): void {
  const given = new Map([...arrays].map((array) => [array.name, array]));
  const found = variables.map(({ path }) => {
    const array = given.get(path);
    given.delete(path);
    if (array === undefined) throw stateError(`needs ${path}, got none of that name`);
    if (array.shape.length !== 1 || array.shape[0] !== 1 || array.values.length !== 1) throw stateError(`${path} must have shape [1], got [${array.shape}] with ${array.values.length} values`);
    return array.values;
  });
  if (given.size > 0) throw stateError(`takes its own gates alone, got ${[...given.keys()].join(", ")} besides`);
  for (const [i, variable] of variables.entries()) variable.load(found[i] as Float32Array);
}

function stateError(rule: string): DeftError {
  return new DeftError("gates.state", `gates: ${rule}. Load the state of the same model and plan.`);
}

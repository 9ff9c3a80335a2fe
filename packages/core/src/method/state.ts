import { DeftError, type Variable } from "@deft-js/tensor";
import type { NamedArray } from "../contracts/model.ts";

/** Who speaks when arrays do not fit, with which code, and what is to be done. */
export interface StateVoice {
  /** `lora`, `checkpoint`, … */
  readonly who: string;
  /** `lora.state`, `training.resume`, … */
  readonly code: string;
  /** A sentence; "Load the state of the same method, options and model." when left out. */
  readonly remedy?: string | undefined;
}

/** The variables' values on the host, by path, matrices as held. */
export function stateOf(variables: readonly Variable[]): readonly NamedArray[] {
  return variables.map((variable) => ({ name: variable.path, shape: variable.shape, values: variable.data() }));
}

/**
 * Loads arrays into the variables of the same paths: all must be there, none else. All are checked before the first is changed.
 * @throws DeftError with the voice's code when an array is missing, unexpected or misshapen
 */
export function loadVariables(variables: readonly Variable[], arrays: Iterable<NamedArray>, voice: StateVoice): void {
  const given = new Map([...arrays].map((array) => [array.name, array]));
  const pairs = variables.map((variable) => [variable, fitting(variable.path, given.get(variable.path), variable.shape, voice)] as const);
  for (const { path } of variables) given.delete(path);
  if (given.size > 0) throw stateError(voice, `takes its own arrays alone, got ${[...given.keys()].join(", ")} besides`);
  for (const [variable, array] of pairs) variable.load(array.values);
}

/** The array when it is there and has the shape. @throws DeftError with the voice's code */
export function fitting(name: string, array: NamedArray | undefined, shape: readonly number[], voice: StateVoice): NamedArray {
  if (array === undefined) throw stateError(voice, `needs ${name}, got none of that name`);
  const size = shape.reduce((n, d) => n * d, 1);
  if (array.shape.length !== shape.length || array.shape.some((n, i) => n !== shape[i]) || array.values.length !== size)
    throw stateError(voice, `${name} must have shape [${shape}], got [${array.shape}] with ${array.values.length} values`);
  return array;
}

/** The error that says which rule arrays broke. */
export function stateError({ who, code, remedy = "Load the state of the same method, options and model." }: StateVoice, rule: string): DeftError {
  return new DeftError(code, `${who}: ${rule}. ${remedy}`);
}

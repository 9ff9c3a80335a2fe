import type { Variable } from "@deft-js/tensor";
import type { NamedArray } from "../contracts/model.ts";
import { transposeMatrix } from "../model/transpose-matrix.ts";
import { fitting, stateError, type StateVoice } from "./state.ts";

/** Where a variable stands in another library's adapter file. */
export interface LayoutPlace {
  /** The tensor's name in the file. */
  readonly name: string;
  readonly variable: Variable;
  /** `transposed`: the file holds the matrix as [dOut, dIn]; a shape: the same values in the same order under that shape; as held when left out. */
  readonly as?: "transposed" | readonly number[] | undefined;
}

/** The tensors of the places as the file holds them. */
export function writePlaces(places: readonly LayoutPlace[]): readonly NamedArray[] {
  return places.map(({ name, variable, as }) => ({ name, shape: fileShape(variable, as), values: as === "transposed" ? turned(variable.data(), variable.shape) : variable.data() }));
}

/**
 * Loads the places' tensors. Those that are not the method's own (a head's) are left to whoever reads them; of its own none may be left over.
 * All are checked before the first variable is changed.
 * @param isOwn whether a tensor's name is one of the method's
 * @throws DeftError with the voice's code when one is missing, unexpected or misshapen
 */
export function readPlaces(places: readonly LayoutPlace[], tensors: ReadonlyMap<string, NamedArray>, voice: StateVoice & { readonly isOwn: (name: string) => boolean }): void {
  const names = new Set(places.map(({ name }) => name));
  const left = [...tensors.keys()].find((name) => voice.isOwn(name) && !names.has(name));
  if (left !== undefined) throw stateError(voice, `takes its own tensors alone, got ${left} besides`);
  const found = places.map(({ name, variable, as }) => {
    const shape = fileShape(variable, as);
    const { values } = fitting(name, tensors.get(name), shape, voice);
    return [variable, as === "transposed" ? turned(values, shape) : values] as const;
  });
  for (const [variable, values] of found) variable.load(values);
}

function fileShape({ shape }: Variable, as: LayoutPlace["as"]): readonly number[] {
  if (as === undefined) return shape;
  return as === "transposed" ? [...shape].reverse() : as;
}

function turned(values: Float32Array, [rows = 0, columns = 0]: readonly number[]): Float32Array {
  return transposeMatrix(values, rows, columns);
}

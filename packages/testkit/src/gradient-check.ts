import { ops } from "@deft-js/core";
import { compareTensors, maxAbs, type ComparisonResult } from "./compare.ts";
import { demand } from "./check.ts";

/** What to differentiate. */
export interface GradientCheck {
  readonly name: string;
  /** The scalar function; reads the variables' present values. */
  readonly f: () => ops.Tensor;
  readonly variables: readonly ops.Variable[];
  /** h of (f(x+h) − f(x−h))/2h; must be small against the scale on which f bends (√ε for a density loss). */
  readonly step: number;
  /** The allowed error as a share of the greatest central difference of all variables. */
  readonly tolerance: number;
  /** At most so many entries of each variable, evenly spread; all when left out. */
  readonly samples?: number | undefined;
}

/**
 * Compares the tape's gradients with central differences. The difference quotient is taken over the step that float32
 * really made, so that x = 1 and h = 1e-6 do not mislead.
 * @returns one result for each variable
 * @throws ConformanceError naming the variable and entry that disagree
 */
export function gradientCheck({ name, f, variables, step, tolerance, samples }: GradientCheck): readonly ComparisonResult[] {
  const tape = tapeGradients(f, variables);
  const pairs = variables.map((variable) => {
    const at = entries(variable.size, samples);
    const gradient = tape.get(variable.path) as Float32Array;
    return { path: variable.path, actual: at.map((i) => gradient[i] as number), expected: differences(f, variable, at, step) };
  });
  const reference = Math.max(...pairs.map((pair) => maxAbs(pair.expected)), Number.MIN_VALUE);
  return pairs.map(({ path, actual, expected }) => {
    const result = compareTensors({ name: path, actual, expected, tolerance, relativeTo: "max", reference });
    demand(result.ok, `${name}: the gradient of ${path} must be the central difference within ${tolerance} of ${reference}, got ${actual[result.worst]} for ${expected[result.worst]}`);
    return result;
  });
}

/** The tape's gradients, copied to the host. */
export function tapeGradients(f: () => ops.Tensor, variables: readonly ops.Variable[]): ReadonlyMap<string, Float32Array> {
  const found = new Map<string, Float32Array>();
  ops.scope(() => {
    for (const [path, gradient] of ops.valueAndGradients(f, variables).gradients) found.set(path, ops.read(gradient));
  });
  return found;
}

function entries(size: number, samples = size): number[] {
  const n = Math.min(size, samples);
  return Array.from({ length: n }, (_, i) => Math.floor((i * size) / n));
}

function differences(f: () => ops.Tensor, variable: ops.Variable, at: readonly number[], step: number): number[] {
  const values = variable.data();
  const probe = (i: number, x: number): number => {
    const moved = Float32Array.from(values);
    moved[i] = x;
    variable.load(moved);
    return ops.scope(() => ops.read(f())[0] as number);
  };
  const found = at.map((i) => {
    const [low, high] = [Math.fround((values[i] as number) - step), Math.fround((values[i] as number) + step)];
    return (probe(i, high) - probe(i, low)) / (high - low);
  });
  variable.load(values);
  return found;
}

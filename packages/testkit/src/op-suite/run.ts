import { read, Rng, scope, sum, mul, tensor, valueAndGradients, Variable, type Tensor } from "@deft-js/tensor";
import type { Values } from "./reference.ts";

/** One op on one set of shapes, beside its float64 reference. */
export interface OpCase {
  readonly name: string;
  /** The shapes of the float inputs that a gradient is asked for. */
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  /** Values for inputs that must not be normal random numbers. */
  readonly values?: Readonly<Record<string, Values>>;
  op(inputs: Readonly<Record<string, Tensor>>): Tensor;
  reference(inputs: Readonly<Record<string, Values>>): Values | number;
  /** Largest error of values and gradients relative to their largest entry; 2e-5 by default. */
  readonly tolerance?: number;
  /** Step of the float64 central differences; 1e-5 by default. */
  readonly step?: number;
  /** False where float64 has another gradient than float32 by definition. */
  readonly gradient?: boolean;
}

/** A check with a name: throws when it fails. */
export interface Check {
  readonly name: string;
  run(): void;
}

const volume = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

/** The value check and the gradient check of a case, on the active back-end. */
export function checksOf(test: OpCase): Check[] {
  const tolerance = test.tolerance ?? 2e-5;
  const value = { name: `${test.name}: value`, run: () => compare(`${test.name} value`, valueOf(test), reference(test, inputValues(test)), tolerance) };
  return test.gradient === false ? [value] : [value, { name: `${test.name}: gradient`, run: () => checkGradients(test, tolerance) }];
}

function inputValues(test: OpCase): Record<string, Float32Array> {
  const rng = new Rng(20240201);
  return Object.fromEntries(
    Object.entries(test.inputs).map(([name, shape]) => {
      const given = test.values?.[name];
      return [name, given === undefined ? rng.fork(`${test.name}/${name}`).normals(volume(shape), 1) : Float32Array.from(given)];
    }),
  );
}

function reference(test: OpCase, values: Readonly<Record<string, Float32Array>>): Values {
  const y = test.reference(Object.fromEntries(Object.entries(values).map(([name, v]) => [name, Array.from(v)])));
  return typeof y === "number" ? [y] : y;
}

function variablesOf(test: OpCase): Variable[] {
  const values = inputValues(test);
  return Object.entries(test.inputs).map(([name, shape]) => Variable.from(name, values[name] ?? new Float32Array(), shape));
}

const tensorsOf = (variables: readonly Variable[]): Record<string, Tensor> => Object.fromEntries(variables.map((v) => [v.path, v.value]));

function valueOf(test: OpCase): Float32Array {
  const variables = variablesOf(test);
  try {
    return scope(() => read(test.op(tensorsOf(variables))));
  } finally {
    for (const variable of variables) variable.dispose();
  }
}

function checkGradients(test: OpCase, tolerance: number): void {
  const variables = variablesOf(test);
  const values = inputValues(test);
  const size = reference(test, values).length;
  const upstream = new Rng(7).normals(size, 1);
  try {
    const gradients = scope(() => {
      const weighted = (): Tensor => {
        const y = test.op(tensorsOf(variables));
        return sum(mul(y, tensor(upstream, y.shape)));
      };
      const { gradients: found } = valueAndGradients(weighted, variables);
      return new Map([...found].map(([path, gradient]) => [path, read(gradient)]));
    });
    for (const [name, of] of Object.entries(values)) compare(`${test.name} gradient by ${name}`, gradients.get(name) ?? [], numeric(test, name, of, upstream), tolerance);
  } finally {
    for (const variable of variables) variable.dispose();
  }
}

/** Central differences of the float64 reference under the upstream gradient. */
function numeric(test: OpCase, name: string, of: Float32Array, upstream: Float32Array): number[] {
  const h = test.step ?? 1e-5;
  const plain = Object.fromEntries(Object.entries(inputValues(test)).map(([key, v]) => [key, Array.from(v)]));
  return Array.from(of, (centre, i) => {
    const probe = (x: number): number => {
      const moved = [...(plain[name] ?? [])];
      moved[i] = x;
      const y = test.reference({ ...plain, [name]: moved });
      return (typeof y === "number" ? [y] : y).reduce((s, v, j) => s + v * (upstream[j] ?? 0), 0);
    };
    return (probe(centre + h) - probe(centre - h)) / (2 * h);
  });
}

/** Throws unless max |actual − expected| ≤ tolerance·max(1, max |expected|). */
export function compare(name: string, actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  if (actual.length !== expected.length) throw new Error(`${name}: must have ${expected.length} values, got ${actual.length}.`);
  const top = Array.from(expected).reduce((m, v) => Math.max(m, Math.abs(v)), 1);
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i] as number, expected[i] as number];
    const fits = Number.isNaN(e) ? Number.isNaN(a) : Math.abs(a - e) <= tolerance * top;
    if (!fits) throw new Error(`${name}: entry ${i} must be ${e} within ${tolerance * top}, got ${a}.`);
  }
}

import { changeVariable, ops, replaceMatrix, type Model, type Site } from "@deft-js/core";

/** The scale of one linear layer: its vector and the undo of its wrapper. */
export interface Scale {
  readonly site: Site<"linear">;
  /** Whether the layer's input is scaled; its output otherwise. */
  readonly feedforward: boolean;
  /** l, [dIn] or [dOut]. */
  readonly vector: ops.Variable;
  undo(): void;
}

/** Scales a linear layer: (x∘l)·W + b (feedforward) or (x·W + b)∘l. l starts at one: the layer's output is unchanged at first. */
export function addScale(site: Site<"linear">, feedforward: boolean): Scale {
  const size = feedforward ? site.dIn : site.dOut;
  const vector = ops.Variable.from(`${site.path}.ia3_l`, new Float32Array(size).fill(1), [size]);
  const undo = site.wrap((x, base) => (feedforward ? base(ops.mul(x, vector.value)) : ops.mul(base(x), vector.value)));
  return { site, feedforward, vector, undo };
}

/** Folds l into the rows of W (feedforward), or into its columns and the bias. */
export function mergeScale(model: Model, { site, feedforward, vector }: Scale): void {
  replaceMatrix(model, site, "ia3", (matrix) => ops.mul(matrix, feedforward ? ops.reshape(vector.value, [site.dIn, 1]) : vector.value));
  if (!feedforward && site.bias !== undefined) changeVariable(site.bias, (bias) => ops.mul(bias, vector.value));
}

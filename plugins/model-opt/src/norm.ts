import { ops, type ModelParts } from "@deft-js/core";

/** ε of every layer norm: not a key of config.json. */
const EPSILON = 1e-5;

/** LN(x), or LN(x + residual) in one op. */
export type Norm = (x: ops.Tensor, residual?: ops.Tensor) => ops.Tensor;

/** The layer norm with the parameters PATH.weight and PATH.bias. */
export function layerNorm(parts: ModelParts, path: string): Norm {
  const gamma = parts.parameter(`${path}.weight`);
  const beta = parts.parameter(`${path}.bias`);
  return (x, residual) => ops.layerNorm(x, { gamma: gamma.value, beta: beta.value, epsilon: EPSILON, residual });
}

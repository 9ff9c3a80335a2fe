import { ops, type ModelParts } from "@deft-js/core";
import type { BertConfig } from "./config.ts";

/** LN(x), or LN(x + residual) in one op. */
export type Norm = (x: ops.Tensor, residual?: ops.Tensor) => ops.Tensor;

/** The layer norm with the parameters PATH.weight and PATH.bias. */
export function layerNorm(parts: ModelParts, config: BertConfig, path: string): Norm {
  const gamma = parts.parameter(`${path}.weight`);
  const beta = parts.parameter(`${path}.bias`);
  return (x, residual) => ops.layerNorm(x, { gamma: gamma.value, beta: beta.value, epsilon: config.layerNormEpsilon, residual });
}

import { ops, type ModelParts } from "@deft-js/core";
import type { T5Config } from "./config.ts";

/** γ·x/√(mean x² + ε). */
export type Norm = (x: ops.Tensor) => ops.Tensor;

/** The RMS norm with the parameter PATH.weight. */
export function rmsNorm(parts: ModelParts, config: T5Config, path: string): Norm {
  const gamma = parts.parameter(`${path}.weight`);
  return (x) => ops.rmsNorm(x, { gamma: gamma.value, epsilon: config.epsilon });
}

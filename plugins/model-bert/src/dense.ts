import { ops, type ModelParts } from "@deft-js/core";

/** f(x·W + b) with the parameters PATH.weight and PATH.bias. */
export function dense(parts: ModelParts, path: string): (x: ops.Tensor, activation?: ops.ActivationKind) => ops.Tensor {
  const weight = parts.parameter(`${path}.weight`);
  const bias = parts.parameter(`${path}.bias`);
  return (x, activation) => ops.linear(x, weight.value, { bias: bias.value, activation, frozen: !weight.trainable });
}

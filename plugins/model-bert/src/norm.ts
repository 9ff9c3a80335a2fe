import { ops, type ForwardContext, type ModelParts, type SitePlace } from "@deft-js/core";
import type { BertConfig } from "./config.ts";

/** LN(x), or LN(x + residual) in one op where its site is not wrapped. */
export type Norm = (x: ops.Tensor, context: ForwardContext, residual?: ops.Tensor) => ops.Tensor;

/** The layer norm with the parameters PATH.weight and PATH.bias, and its site. */
export function layerNorm(parts: ModelParts, config: BertConfig, place: Pick<SitePlace<"norm">, "path" | "layer">): Norm {
  const gamma = parts.parameter(`${place.path}.weight`);
  const beta = parts.parameter(`${place.path}.bias`);
  const site = parts.site({ ...place, kind: "norm", stack: "encoder", dIn: config.hiddenSize, dOut: config.hiddenSize, bias: beta });
  const norm = (x: ops.Tensor, residual?: ops.Tensor): ops.Tensor => ops.layerNorm(x, { gamma: gamma.value, beta: beta.value, epsilon: config.layerNormEpsilon, residual });
  return (x, context, residual) => (site.wrapped ? site.run(residual === undefined ? x : ops.add(x, residual), context, (sum) => norm(sum)) : norm(x, residual));
}

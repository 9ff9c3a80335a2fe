import { add, layerNorm, type Tensor } from "@deft-js/tensor";
import type { ForwardContext } from "../contracts/site.ts";
import type { ModelParts } from "./model-parts.ts";
import type { SitePlace } from "./site-point.ts";

/** LN(x), or LN(x + residual), which is one op where the norm's site is not wrapped. */
export type LayerNorm = (x: Tensor, context: ForwardContext, residual?: Tensor) => Tensor;

/** The layer norm with the parameters PATH.weight and PATH.bias, and its site. */
export function layerNormSite(parts: ModelParts, place: Pick<SitePlace<"norm">, "path" | "stack" | "layer">, epsilon: number): LayerNorm {
  const gamma = parts.parameter(`${place.path}.weight`);
  const beta = parts.parameter(`${place.path}.bias`);
  const site = parts.site({ ...place, kind: "norm", dIn: beta.size, dOut: beta.size, bias: beta });
  const norm = (x: Tensor, residual?: Tensor): Tensor => layerNorm(x, { gamma: gamma.value, beta: beta.value, epsilon, residual });
  return (x, context, residual) => (site.wrapped ? site.run(residual === undefined ? x : add(x, residual), context, (sum) => norm(sum)) : norm(x, residual));
}

import { layerNormSite, type LayerNorm, type ModelParts } from "@deft-js/core";

/** ε of every layer norm: not a key of config.json. */
const EPSILON = 1e-5;

/** The layer norm with the parameters PATH.weight and PATH.bias, and its site. */
export function layerNorm(parts: ModelParts, place: { readonly path: string; readonly layer?: number }): LayerNorm {
  return layerNormSite(parts, { ...place, stack: "decoder" }, EPSILON);
}

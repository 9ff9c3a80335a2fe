import type { ParameterSpec } from "@deft-js/core";
import type { OptConfig } from "./config.ts";

/** The decoder's module path. */
export const DECODER = "model.decoder";

/** How many rows of the position table stand before that of the first token. */
export const POSITION_OFFSET = 2;

/** The parameters in the order of the Hugging Face state dict. */
export function decoderSpecs(config: OptConfig): ParameterSpec[] {
  const { hiddenSize: d, embeddingSize: e, vocabSize, maxPositions, padId, finalNorm } = config;
  const layers = Array.from({ length: config.layers }, (_, i) => layerSpecs(config, `${DECODER}.layers.${i}`));
  const initial = { normal: config.initializerRange };
  return [
    { name: `${DECODER}.embed_tokens.weight`, shape: [vocabSize, e], initial: { ...initial, zeroRow: padId }, aliases: ["lm_head.weight"] },
    { name: `${DECODER}.embed_positions.weight`, shape: [maxPositions + POSITION_OFFSET, d], initial },
    ...(e === d ? [] : [matrix(config, `${DECODER}.project_out`, d, e), matrix(config, `${DECODER}.project_in`, e, d)]),
    ...(finalNorm ? normSpecs(config, `${DECODER}.final_layer_norm`) : []),
    ...layers.flat(),
  ];
}

function layerSpecs(config: OptConfig, path: string): ParameterSpec[] {
  const { hiddenSize: d, ffnDim: f } = config;
  const attention = ["k_proj", "v_proj", "q_proj", "out_proj"].flatMap((name) => linearSpecs(config, `${path}.self_attn.${name}`, d, d));
  return [
    ...attention,
    ...normSpecs(config, `${path}.self_attn_layer_norm`),
    ...linearSpecs(config, `${path}.fc1`, d, f),
    ...linearSpecs(config, `${path}.fc2`, f, d),
    ...normSpecs(config, `${path}.final_layer_norm`),
  ];
}

function linearSpecs(config: OptConfig, path: string, dIn: number, dOut: number): ParameterSpec[] {
  return [matrix(config, path, dIn, dOut), ...(config.bias ? [{ name: `${path}.bias`, shape: [dOut], initial: "zeros" } as const] : [])];
}

const matrix = (config: OptConfig, path: string, dIn: number, dOut: number): ParameterSpec => ({ name: `${path}.weight`, shape: [dOut, dIn], matrix: true, initial: { normal: config.initializerRange } });

function normSpecs(config: OptConfig, path: string): ParameterSpec[] {
  return [
    { name: `${path}.weight`, shape: [config.hiddenSize], initial: "ones" },
    { name: `${path}.bias`, shape: [config.hiddenSize], initial: "zeros" },
  ];
}

/** The names that a file may use for a Hugging Face name: as it is, and without the prefix of the model with a head. */
export function fileNames(name: string): string[] {
  return name.startsWith("model.") ? [name, name.slice("model.".length)] : [name];
}

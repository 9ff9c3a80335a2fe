import { peftLoraConfig, readPlaces, writePlaces, type AdapterLayout, type LayoutPlace, type Model, type StateVoice } from "@deft-js/core";
import type { Decomposition } from "./decomposition.ts";
import type { DoraOptions } from "./options.ts";

/** Who speaks when a state does not fit. */
export const DORA_STATE: StateVoice = { who: "dora", code: "dora.state" };

/**
 * HF PEFT: LoRA with `use_dora`: `base_model.model.PATH.lora_A.weight` [r, dIn], `lora_B.weight` [dOut, r] and `lora_magnitude_vector` [dOut], which
 * versions from 0.11 on call `lora_magnitude_vector.weight` in memory and save without the suffix; both are read.
 */
export function peftLayout(model: Model, decompositions: readonly Decomposition[], options: DoraOptions): AdapterLayout {
  const places: readonly LayoutPlace[] = decompositions.flatMap(({ site, down, up, magnitude }) => {
    const prefix = `base_model.model.${site.path}`;
    return [
      { name: `${prefix}.lora_A.weight`, variable: down, as: "transposed" as const },
      { name: `${prefix}.lora_B.weight`, variable: up, as: "transposed" as const },
      { name: `${prefix}.lora_magnitude_vector`, variable: magnitude },
    ];
  });
  return {
    config: () => ({ ...peftLoraConfig(model, { ...options, paths: decompositions.map(({ site }) => site.path), kept: options.kept?.peft }), use_dora: true }),
    write: () => writePlaces(places),
    read: (tensors) => {
      const named = [...tensors.values()].map((array) => ({ ...array, name: array.name.replace(/\.lora_magnitude_vector\.weight$/, ".lora_magnitude_vector") }));
      readPlaces(places, new Map(named.map((array) => [array.name, array])), { ...DORA_STATE, isOwn: (name) => name.includes(".lora_") });
    },
  };
}

import { peftModules, readPlaces, writePlaces, type AdapterLayout, type Model, type StateVoice } from "@deft-js/core";
import type { Ia3Options } from "./options.ts";
import type { Scale } from "./scale.ts";

/** Who speaks when a state does not fit. */
export const IA3_STATE: StateVoice = { who: "ia3", code: "ia3.state" };

/** HF PEFT: `base_model.model.PATH.ia3_l`, [1, dIn] for the feedforward layers, [dOut, 1] for the others. */
export function peftLayout(model: Model, scales: readonly Scale[], options: Ia3Options): AdapterLayout {
  const places = scales.map(({ site, feedforward, vector }) => ({ name: `base_model.model.${site.path}.ia3_l`, variable: vector, as: feedforward ? [1, site.dIn] : [site.dOut, 1] }));
  const modules = (chosen: readonly Scale[]): string[] => peftModules(model, chosen.map(({ site }) => site.path));
  return {
    config: () => ({
      ...options.kept?.peft,
      peft_type: "IA3",
      target_modules: modules(scales),
      feedforward_modules: modules(scales.filter(({ feedforward }) => feedforward)),
      fan_in_fan_out: false,
      inference_mode: true,
      init_ia3_weights: true,
      modules_to_save: options.kept?.peft?.["modules_to_save"] ?? null,
    }),
    write: () => writePlaces(places),
    read: (tensors) => readPlaces(places, tensors, { ...IA3_STATE, isOwn: (name) => name.endsWith(".ia3_l") }),
  };
}

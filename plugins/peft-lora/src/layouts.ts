import { peftLoraConfig, readPlaces, writePlaces, type AdapterLayout, type LayoutPlace, type Model, type StateVoice } from "@deft-js/core";
import type { Branch } from "./branch.ts";
import type { LoraOptions } from "./options.ts";
import { rolesOf } from "./targets.ts";

/** Who speaks when a state does not fit. */
export const LORA_STATE: StateVoice = { who: "lora", code: "lora.state" };

/** HF PEFT: `base_model.model.PATH.lora_A.weight` [r, dIn], `lora_B.weight` [dOut, r]. */
export function peftLayout(model: Model, branches: readonly Branch[], options: LoraOptions): AdapterLayout {
  const places = placesOf(branches, (path, matrix) => `base_model.model.${path}.lora_${matrix}.weight`);
  return {
    config: () => ({
      ...peftLoraConfig(model, { ...options, paths: branches.map(({ site }) => site.path), kept: options.kept?.peft }),
      init_lora_weights: options.init === "gaussian" ? "gaussian" : true,
    }),
    write: () => writePlaces(places),
    read: (tensors) => readPlaces(places, tensors, { ...LORA_STATE, isOwn: (name) => name.includes(".lora_") }),
  };
}

/**
 * AdapterHub: `PATH.loras.NAME.lora_A` [r, dIn], `lora_B` [dOut, r]; undefined where its switches (attn_matrices,
 * intermediate_lora, output_lora) cannot say which layers are meant.
 */
export function adapterHubLayout(model: Model, branches: readonly Branch[], options: LoraOptions): AdapterLayout | undefined {
  const roles = rolesOf(model, branches.map(({ site }) => site.path));
  if (roles === undefined) return undefined;
  const attention = ["q", "k", "v"].filter((role) => roles.has(role));
  const places = (name: string): readonly LayoutPlace[] => placesOf(branches, (path, matrix) => `${path}.loras.${name}.lora_${matrix}`);
  return {
    config: () => ({
      config: {
        ...options.kept?.adapterhub,
        architecture: "lora",
        r: options.rank,
        alpha: options.alpha,
        dropout: options.dropout,
        attn_matrices: attention,
        selfattn_lora: attention.length > 0,
        intermediate_lora: roles.has("intermediate"),
        output_lora: roles.has("output"),
        composition_mode: "add",
        init_weights: options.init === "bert" ? "bert" : "lora",
        use_gating: false,
      },
      hidden_size: model.config["hidden_size"] ?? model.config["d_model"],
      model_type: model.family,
    }),
    write: (name) => writePlaces(places(name)),
    read: (tensors, name) => readPlaces(places(name), tensors, { ...LORA_STATE, isOwn: (key) => key.includes(`.loras.${name}.`) }),
  };
}

/** Both matrices of every branch: [r, dIn] and [dOut, r] in files. */
function placesOf(branches: readonly Branch[], key: (path: string, matrix: "A" | "B") => string): readonly LayoutPlace[] {
  return branches.flatMap(({ site, down, up }) => [
    { name: key(site.path, "A"), variable: down, as: "transposed" as const },
    { name: key(site.path, "B"), variable: up, as: "transposed" as const },
  ]);
}

import { isOff, isOneOf, type ConfigRules, type LayoutConfig } from "./config.ts";
import { peftModules } from "./targets.ts";
import type { Model } from "../contracts/model.ts";

/** Switches of HF PEFT's LoraConfig that change the arithmetic and must be off. */
const SWITCHES = ["rank_pattern", "alpha_pattern", "use_rslora", "use_qalora", "lora_bias", "fan_in_fan_out", "layers_to_transform", "exclude_modules", "target_parameters", "trainable_token_indices", "layer_replication", "alora_invocation_tokens", "arrow_config", "megatron_config"];

/** The rules of adapter_config.json with `peft_type: LORA`, which LoRA and its relatives share. `init` are the values that `init_lora_weights` may have. */
export function peftLoraRules(who: string, { init, read = [], free = [] }: { readonly init: readonly unknown[]; readonly read?: readonly string[]; readonly free?: readonly string[] }): ConfigRules {
  return {
    who,
    demands: { bias: isOneOf("none"), init_lora_weights: isOneOf(...init), ...Object.fromEntries(SWITCHES.map((key) => [key, isOff])) },
    read: ["base_model_name_or_path", "peft_type", "r", "lora_alpha", "lora_dropout", "target_modules", "bias", "fan_in_fan_out", "inference_mode", "init_lora_weights", ...read],
    free: ["auto_mapping", "corda_config", "ensure_weight_tying", "eva_config", "layers_pattern", "loftq_config", "megatron_core", "modules_to_save", "peft_version", "qalora_group_size", "revision", "runtime_config", "task_type", ...free],
  };
}

/** adapter_config.json with `peft_type: LORA`, with the keys that were read before: `paths` are those of the layers that have an update. */
export function peftLoraConfig(model: Model, { rank, alpha, dropout, paths, kept }: { readonly rank: number; readonly alpha: number; readonly dropout: number; readonly paths: readonly string[]; readonly kept?: LayoutConfig | undefined }): Record<string, unknown> {
  return {
    ...kept,
    peft_type: "LORA",
    r: rank,
    lora_alpha: alpha,
    lora_dropout: dropout,
    target_modules: peftModules(model, paths),
    bias: "none",
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    modules_to_save: kept?.["modules_to_save"] ?? null,
  };
}

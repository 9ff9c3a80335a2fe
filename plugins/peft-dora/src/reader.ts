import { configuredMethod, demandConfig, isOff, isOneOf, keptKeys, peftPattern, unknownKeys, type AdapterConfigReader, type ConfigRules } from "@deft-js/core";
import { dora } from "./dora.ts";
import type { DoraSettings } from "./options.ts";

const RULES: ConfigRules = {
  who: "dora",
  demands: {
    bias: isOneOf("none"),
    init_lora_weights: isOneOf(true, false),
    ...Object.fromEntries(
      ["rank_pattern", "alpha_pattern", "use_rslora", "use_qalora", "lora_bias", "fan_in_fan_out", "layers_to_transform", "exclude_modules", "target_parameters", "trainable_token_indices", "layer_replication", "alora_invocation_tokens", "arrow_config", "megatron_config"].map((key) => [key, isOff]),
    ),
  },
  read: ["base_model_name_or_path", "peft_type", "use_dora", "r", "lora_alpha", "lora_dropout", "target_modules", "bias", "fan_in_fan_out", "inference_mode", "init_lora_weights"],
  free: ["auto_mapping", "corda_config", "ensure_weight_tying", "eva_config", "layers_pattern", "loftq_config", "megatron_core", "modules_to_save", "peft_version", "qalora_group_size", "revision", "runtime_config", "task_type"],
};

/** Reads DoRA from HF PEFT's adapter_config.json (`peft_type: LORA` with `use_dora: true`). */
export const peftReader: AdapterConfigReader = {
  layout: "peft",
  read(config) {
    if (config["peft_type"] !== "LORA" || config["use_dora"] !== true) return undefined;
    demandConfig(config, RULES);
    const { r = 8, lora_alpha = 8, lora_dropout = 0, target_modules } = config;
    const target = (target_modules ?? null) === null ? {} : { target: peftPattern(target_modules, { who: "dora", key: "target_modules" }) };
    return configuredMethod("dora", () => dora({ rank: r, alpha: lora_alpha, dropout: lora_dropout, ...target, kept: { peft: keptKeys(config, RULES) } } as DoraSettings));
  },
  unknownKeys: (config) => unknownKeys(config, RULES),
};

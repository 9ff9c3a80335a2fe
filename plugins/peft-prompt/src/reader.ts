import { configuredMethod, keptKeys, PEFT_BASE_KEYS, unknownKeys, type AdapterConfigReader, type ConfigRules } from "@deft-js/core";
import { prompt } from "./prompt.ts";
import type { PromptSettings } from "./options.ts";

const RULES: ConfigRules = {
  who: "prompt",
  demands: {},
  read: [...PEFT_BASE_KEYS, "num_virtual_tokens"],
  free: ["auto_mapping", "revision", "peft_version", "prompt_tuning_init", "prompt_tuning_init_text", "tokenizer_name_or_path", "tokenizer_kwargs", "modules_to_save"],
};

/**
 * Reads prompt tuning from HF PEFT's adapter_config.json (`peft_type: PROMPT_TUNING`). PEFT 0.3, which also prompts the decoder, is told by
 * the keys that 0.4 brought, `auto_mapping` and `revision`. The start's text is kept but not used: the values are in the file.
 */
export const peftReader: AdapterConfigReader = {
  layout: "peft",
  read(config) {
    if (config["peft_type"] !== "PROMPT_TUNING") return undefined;
    const compat = "auto_mapping" in config || "revision" in config ? "peft" : "peft-0.3";
    const settings = { virtualTokens: config["num_virtual_tokens"], init: "random", compat, kept: { peft: keptKeys(config, RULES) } } as PromptSettings;
    return configuredMethod("prompt", () => prompt(settings));
  },
  unknownKeys: (config) => unknownKeys(config, RULES),
};

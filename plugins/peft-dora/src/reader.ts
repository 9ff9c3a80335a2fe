import { configuredMethod, demandConfig, keptKeys, peftLoraRules, peftPattern, unknownKeys, type AdapterConfigReader } from "@deft-js/core";
import { dora } from "./dora.ts";
import type { DoraSettings } from "./options.ts";

const RULES = peftLoraRules("dora", { init: [true, false], read: ["use_dora"] });

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

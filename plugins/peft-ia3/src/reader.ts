import { configuredMethod, demandConfig, isOff, isOneOf, keptKeys, peftPattern, unknownKeys, type AdapterConfigReader, type ConfigRules } from "@deft-js/core";
import { ia3 } from "./ia3.ts";

const RULES: ConfigRules = {
  who: "ia3",
  demands: { fan_in_fan_out: isOff, exclude_modules: isOff, init_ia3_weights: isOneOf(true, false) },
  read: ["base_model_name_or_path", "peft_type", "target_modules", "feedforward_modules", "fan_in_fan_out", "inference_mode", "init_ia3_weights"],
  free: ["auto_mapping", "modules_to_save", "peft_version", "revision", "task_type"],
};

/** Matches nothing: no layer is scaled at its input. */
const NONE = "^(?!)";

/** Reads IA3 from HF PEFT's adapter_config.json (`peft_type: IA3`). Modules that the file leaves to the family (null) are this plugin's defaults. */
export const peftReader: AdapterConfigReader = {
  layout: "peft",
  read(config) {
    if (config["peft_type"] !== "IA3") return undefined;
    demandConfig(config, RULES);
    const pattern = (key: string): Readonly<Record<string, string>> => {
      const modules = config[key] ?? null;
      if (modules === null) return {};
      const name = key === "target_modules" ? "target" : "feedforward";
      if (Array.isArray(modules) && modules.length === 0 && name === "feedforward") return { feedforward: NONE };
      return { [name]: peftPattern(modules, { who: "ia3", key }) };
    };
    return configuredMethod("ia3", () => ia3({ ...pattern("target_modules"), ...pattern("feedforward_modules"), kept: { peft: keptKeys(config, RULES) } }));
  },
  unknownKeys: (config) => unknownKeys(config, RULES),
};

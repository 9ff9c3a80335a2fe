import { configuredMethod, demandConfig, isJsonRecord, isOff, isOneOf, keptKeys, PEFT_BASE_KEYS, unknownKeys, type AdapterConfigReader, type ConfigRules, type LayoutConfig } from "@deft-js/core";
import { prefix } from "./prefix.ts";
import type { PrefixSettings } from "./options.ts";

const PEFT: ConfigRules = {
  who: "prefix",
  demands: {},
  read: [...PEFT_BASE_KEYS, "num_virtual_tokens"],
  free: ["encoder_hidden_size", "prefix_projection", "init_weights", "auto_mapping", "revision", "peft_version", "modules_to_save"],
};

/**
 * Reads prefix tuning from HF PEFT's adapter_config.json (`peft_type: PREFIX_TUNING`). The file holds what a projection made, so that the
 * method is flat even where the configuration says `prefix_projection`.
 */
export const peftReader: AdapterConfigReader = {
  layout: "peft",
  read(config) {
    if (config["peft_type"] !== "PREFIX_TUNING") return undefined;
    const settings = { virtualTokens: config["num_virtual_tokens"], compat: "peft", kept: { peft: keptKeys(config, PEFT) } } as PrefixSettings;
    return configuredMethod("prefix", () => prefix(settings));
  },
  unknownKeys: (config) => unknownKeys(config, PEFT),
};

const ADAPTERHUB: ConfigRules = {
  who: "prefix",
  demands: { non_linearity: isOneOf("tanh"), use_gating: isOff, leave_out: isOff },
  read: ["architecture", "prefix_length", "flat", "dropout", "encoder_prefix", "cross_prefix", "non_linearity", "use_gating", "leave_out"],
  free: ["bottleneck_size", "shared_gating"],
};

/** Reads prefix tuning from AdapterHub's adapter_config.json (`config.architecture: prefix_tuning`). */
export const adapterHubReader: AdapterConfigReader = {
  layout: "adapterhub",
  read(file) {
    const config = prefixConfig(file);
    if (config === undefined) return undefined;
    demandConfig(config, ADAPTERHUB);
    const { prefix_length = 30, flat = false, bottleneck_size = 512, dropout = 0, encoder_prefix = true, cross_prefix = true } = config;
    const settings = {
      virtualTokens: prefix_length,
      ...(flat === true ? {} : { projectionSize: bottleneck_size }),
      dropout,
      encoder: encoder_prefix,
      cross: cross_prefix,
      compat: "adapter-transformers",
      kept: { adapterhub: keptKeys(config, ADAPTERHUB) },
    } as PrefixSettings;
    return configuredMethod("prefix", () => prefix(settings));
  },
  unknownKeys: (file) => unknownKeys(prefixConfig(file) ?? {}, ADAPTERHUB),
};

function prefixConfig(file: LayoutConfig): LayoutConfig | undefined {
  const config = file["config"];
  return isJsonRecord(config) && config["architecture"] === "prefix_tuning" ? config : undefined;
}

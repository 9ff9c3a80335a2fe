import { configuredMethod, demandConfig, isJsonRecord, isOneOf, keptKeys, unknownKeys, unsupportedConfig, type AdapterConfigReader, type ConfigRules, type LayoutConfig } from "@deft-js/core";
import { adapter } from "./adapter.ts";
import { FIXED } from "./config.ts";
import type { AdapterSettings } from "./options.ts";

/** Keys that do not change what a trained adapter computes. */
const FREE = ["init_weights", "inv_adapter_reduction_factor", "factorized_phm_W", "factorized_phm_rule", "hypercomplex_nonlinearity", "learn_phm", "phm_bias", "phm_c_init", "phm_dim", "phm_init_range", "phm_rank", "shared_W_phm", "shared_phm_rule", "dtype"];
const DEMANDED: LayoutConfig = { ...Object.fromEntries(Object.entries(FIXED).filter(([key]) => !FREE.includes(key))), stochastic_depth: 0 };
const RULES: ConfigRules = {
  who: "adapter",
  demands: Object.fromEntries(Object.entries(DEMANDED).map(([key, value]) => [key, isOneOf(value)])),
  read: ["architecture", "mh_adapter", "output_adapter", "original_ln_before", "non_linearity", "reduction_factor", "dropout", ...Object.keys(DEMANDED)],
  free: FREE,
};

/** Reads a bottleneck adapter from AdapterHub's adapter_config.json (no `config.architecture`, a `reduction_factor`). */
export const adapterHubReader: AdapterConfigReader = {
  layout: "adapterhub",
  read(file) {
    const config = file["config"];
    if (!isJsonRecord(config) || (config["architecture"] ?? null) !== null || !("reduction_factor" in config)) return undefined;
    demandConfig(config, RULES);
    const { reduction_factor, non_linearity, dropout = 0 } = config;
    const settings = { placement: placementOf(config), reductionFactor: reduction_factor, nonLinearity: non_linearity === "swish" ? "silu" : non_linearity, dropout, kept: { adapterhub: keptKeys(config, RULES) } };
    return configuredMethod("adapter", () => adapter(settings as AdapterSettings));
  },
  unknownKeys: (file) => unknownKeys(file["config"] as LayoutConfig, RULES),
};

function placementOf({ mh_adapter, output_adapter, original_ln_before }: LayoutConfig): AdapterSettings["placement"] {
  if (mh_adapter === false && output_adapter === true && original_ln_before === true) return "pfeiffer";
  if (mh_adapter === true && output_adapter === true && original_ln_before === false) return "houlsby";
  throw unsupportedConfig("adapter", `mh_adapter, output_adapter and original_ln_before must be those of pfeiffer or houlsby, got ${JSON.stringify([mh_adapter, output_adapter, original_ln_before])}`);
}

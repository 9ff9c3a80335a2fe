import { DeftError, type AdapterConfigReader } from "@deft-js/core";
import { adapter } from "./adapter.ts";
import { FIXED } from "./config.ts";
import type { AdapterSettings } from "./options.ts";

type Json = Readonly<Record<string, unknown>>;

/** Keys that do not change what a trained adapter computes. */
const FREE = new Set(["init_weights", "inv_adapter_reduction_factor", "factorized_phm_W", "factorized_phm_rule", "hypercomplex_nonlinearity", "learn_phm", "phm_bias", "phm_c_init", "phm_dim", "phm_init_range", "phm_rank", "shared_W_phm", "shared_phm_rule"]);
const DEMANDS: Json = { ...Object.fromEntries(Object.entries(FIXED).filter(([key]) => !FREE.has(key))), stochastic_depth: 0 };
const READ = new Set(["architecture", "mh_adapter", "output_adapter", "original_ln_before", "non_linearity", "reduction_factor", "dropout", ...Object.keys(DEMANDS)]);

/** Reads a bottleneck adapter from AdapterHub's adapter_config.json (no `config.architecture`, a `reduction_factor`). */
export const adapterHubReader: AdapterConfigReader = {
  layout: "adapterhub",
  read(file) {
    const config = file["config"];
    if (!isObject(config) || (config["architecture"] ?? null) !== null || !("reduction_factor" in config)) return undefined;
    for (const [key, value] of Object.entries(DEMANDS))
      if (key in config && JSON.stringify(config[key]) !== JSON.stringify(value)) throw unsupported(`${key} must be ${JSON.stringify(value)}, got ${JSON.stringify(config[key])}`);
    const { reduction_factor, non_linearity, dropout = 0 } = config;
    const kept = Object.fromEntries(Object.entries(config).filter(([key]) => !READ.has(key)));
    return configured({ placement: placementOf(config), reductionFactor: reduction_factor, nonLinearity: non_linearity === "swish" ? "silu" : non_linearity, dropout, kept: { adapterhub: kept } });
  },
};

function placementOf({ mh_adapter, output_adapter, original_ln_before }: Json): AdapterSettings["placement"] {
  if (mh_adapter === false && output_adapter === true && original_ln_before === true) return "pfeiffer";
  if (mh_adapter === true && output_adapter === true && original_ln_before === false) return "houlsby";
  throw unsupported(`mh_adapter, output_adapter and original_ln_before must be those of pfeiffer or houlsby, got ${JSON.stringify([mh_adapter, output_adapter, original_ln_before])}`);
}

function configured(settings: { [K in keyof AdapterSettings]: unknown }): ReturnType<typeof adapter> {
  try {
    return adapter(settings as AdapterSettings);
  } catch (cause) {
    throw new DeftError("adapter.config", `adapter: adapter_config.json must hold usable options, got: ${(cause as Error).message}`, { cause });
  }
}

function unsupported(rule: string): DeftError {
  return new DeftError("adapter.config", `adapter: ${rule} in adapter_config.json. This variant is not supported; use a pfeiffer or houlsby adapter.`);
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

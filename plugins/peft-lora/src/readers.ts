import { configuredMethod, demandConfig, isJsonRecord, isOff, isOneOf, isTexts, keptKeys, peftLoraRules, peftPattern, QUERY_AND_VALUE, unknownKeys, unsupportedConfig, type AdapterConfigReader, type ConfigRules, type LayoutConfig } from "@deft-js/core";
import { lora } from "./lora.ts";
import type { LoraSettings } from "./options.ts";
import { rolePattern } from "./targets.ts";

const PEFT = peftLoraRules("lora", { init: [true, false, "gaussian"], free: ["use_dora"] });

/** Reads LoRA from HF PEFT's adapter_config.json (`peft_type: LORA`); with `use_dora` it is another method's. */
export const peftReader: AdapterConfigReader = {
  layout: "peft",
  read(config) {
    if (config["peft_type"] !== "LORA" || config["use_dora"] === true) return undefined;
    demandConfig(config, PEFT);
    const { r = 8, lora_alpha = 8, lora_dropout = 0, target_modules, init_lora_weights } = config;
    return configured({
      rank: r, alpha: lora_alpha, dropout: lora_dropout, target: (target_modules ?? null) === null ? QUERY_AND_VALUE : peftPattern(target_modules, { who: "lora", key: "target_modules" }),
      init: init_lora_weights === "gaussian" ? "gaussian" : "kaiming", kept: { peft: keptKeys(config, PEFT) },
    });
  },
  unknownKeys: (config) => unknownKeys(config, PEFT),
};

const ADAPTERHUB: ConfigRules = {
  who: "lora",
  demands: {
    composition_mode: isOneOf("add"),
    init_weights: isOneOf("lora", "bert"),
    ...Object.fromEntries(["use_gating", "leave_out", "vera_d", "vera_b"].map((key) => [key, isOff])),
  },
  read: ["architecture", "r", "alpha", "dropout", "attn_matrices", "selfattn_lora", "intermediate_lora", "output_lora", "composition_mode", "init_weights", "use_gating"],
  free: ["dtype"],
};

/** Reads LoRA from AdapterHub's adapter_config.json (`config.architecture: lora`). */
export const adapterHubReader: AdapterConfigReader = {
  layout: "adapterhub",
  read(file) {
    const config = file["config"];
    if (!isJsonRecord(config) || config["architecture"] !== "lora") return undefined;
    demandConfig(config, ADAPTERHUB);
    const { r = 8, alpha = 8, dropout = 0, init_weights } = config;
    return configured({
      rank: r, alpha, dropout, target: adapterHubTarget(config),
      init: init_weights === "bert" ? "bert" : "kaiming", kept: { adapterhub: keptKeys(config, ADAPTERHUB) },
    });
  },
  unknownKeys: (file) => unknownKeys(file["config"] as LayoutConfig, ADAPTERHUB),
};

function adapterHubTarget(config: LayoutConfig): string {
  const { attn_matrices = ["q", "v"], selfattn_lora = true, intermediate_lora = false, output_lora = false } = config;
  if (!isTexts(attn_matrices) || attn_matrices.some((matrix) => !["q", "k", "v"].includes(matrix)))
    throw unsupportedConfig("lora", `attn_matrices must be of q, k and v, got ${JSON.stringify(attn_matrices)}`);
  const roles = [...(selfattn_lora === true ? attn_matrices : []), ...(intermediate_lora === true ? ["intermediate"] : []), ...(output_lora === true ? ["output"] : [])];
  if (roles.length === 0) throw unsupportedConfig("lora", "at least one layer must be chosen, got none");
  return rolePattern(roles);
}

function configured(settings: { [K in keyof LoraSettings]: unknown }): ReturnType<typeof lora> {
  return configuredMethod("lora", () => lora(settings as LoraSettings));
}

import { DeftError, type AdapterConfigReader } from "@deft-js/core";
import { lora } from "./lora.ts";
import { DEFAULT_TARGET, type LoraSettings } from "./options.ts";
import { rolePattern } from "./targets.ts";

type Json = Readonly<Record<string, unknown>>;

/** Keys that must be absent or one of these values: everything else would change the arithmetic. */
type Demands = Readonly<Record<string, (value: unknown) => boolean>>;

const off = (value: unknown): boolean => value === null || value === false || isEmpty(value);
const isEmpty = (value: unknown): boolean => typeof value === "object" && value !== null && Object.keys(value).length === 0;

const PEFT_DEMANDS: Demands = {
  bias: (value) => value === "none",
  init_lora_weights: (value) => value === true || value === false || value === "gaussian",
  ...Object.fromEntries(
    ["rank_pattern", "alpha_pattern", "use_rslora", "use_dora", "use_qalora", "lora_bias", "fan_in_fan_out", "layers_to_transform", "exclude_modules", "target_parameters", "trainable_token_indices", "layer_replication", "alora_invocation_tokens", "arrow_config", "megatron_config"].map((key) => [key, off]),
  ),
};
const PEFT_READ = new Set(["base_model_name_or_path", "peft_type", "r", "lora_alpha", "lora_dropout", "target_modules", "bias", "fan_in_fan_out", "inference_mode", "init_lora_weights"]);

/** Reads LoRA from HF PEFT's adapter_config.json (`peft_type: LORA`). */
export const peftReader: AdapterConfigReader = {
  layout: "peft",
  read(config) {
    if (config["peft_type"] !== "LORA") return undefined;
    demand(config, PEFT_DEMANDS);
    const { r = 8, lora_alpha = 8, lora_dropout = 0, target_modules, init_lora_weights } = config;
    return configured({
      rank: r, alpha: lora_alpha, dropout: lora_dropout, target: peftTarget(target_modules),
      init: init_lora_weights === "gaussian" ? "gaussian" : "kaiming", kept: { peft: others(config, PEFT_READ) },
    });
  },
};

const ADAPTERHUB_DEMANDS: Demands = {
  composition_mode: (value) => value === "add",
  init_weights: (value) => value === "lora" || value === "bert",
  ...Object.fromEntries(["use_gating", "leave_out", "vera_d", "vera_b"].map((key) => [key, off])),
};
const ADAPTERHUB_READ = new Set(["architecture", "r", "alpha", "dropout", "attn_matrices", "selfattn_lora", "intermediate_lora", "output_lora", "composition_mode", "init_weights", "use_gating"]);

/** Reads LoRA from AdapterHub's adapter_config.json (`config.architecture: lora`). */
export const adapterHubReader: AdapterConfigReader = {
  layout: "adapterhub",
  read(file) {
    const config = file["config"];
    if (!isObject(config) || config["architecture"] !== "lora") return undefined;
    demand(config, ADAPTERHUB_DEMANDS);
    const { r = 8, alpha = 8, dropout = 0, init_weights } = config;
    return configured({
      rank: r, alpha, dropout, target: adapterHubTarget(config),
      init: init_weights === "bert" ? "bert" : "kaiming", kept: { adapterhub: others(config, ADAPTERHUB_READ) },
    });
  },
};

function adapterHubTarget(config: Json): string {
  const { attn_matrices = ["q", "v"], selfattn_lora = true, intermediate_lora = false, output_lora = false } = config;
  if (!isStrings(attn_matrices) || attn_matrices.some((matrix) => !["q", "k", "v"].includes(matrix)))
    throw unsupported(`attn_matrices must be of q, k and v, got ${JSON.stringify(attn_matrices)}`);
  const roles = [...(selfattn_lora === true ? attn_matrices : []), ...(intermediate_lora === true ? ["intermediate"] : []), ...(output_lora === true ? ["output"] : [])];
  if (roles.length === 0) throw unsupported("at least one layer must be chosen, got none");
  return rolePattern(roles);
}

/** A list matches whole paths and their ends, a string the whole path; null leaves it to the family. */
function peftTarget(modules: unknown): string {
  if (modules === undefined || modules === null) return DEFAULT_TARGET;
  if (isStrings(modules) && modules.length > 0) return String.raw`(?:^|\.)(?:${modules.map((name) => name.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)).join("|")})$`;
  if (typeof modules === "string" && modules !== "all-linear") return `^(?:${modules})$`;
  throw unsupported(`target_modules must be a list of names or a pattern, got ${JSON.stringify(modules)}`);
}

function configured(settings: { [K in keyof LoraSettings]: unknown }): ReturnType<typeof lora> {
  try {
    return lora(settings as LoraSettings);
  } catch (cause) {
    throw new DeftError("lora.config", `lora: adapter_config.json must hold usable options, got: ${(cause as Error).message}`, { cause });
  }
}

function demand(config: Json, demands: Demands): void {
  for (const [key, accepts] of Object.entries(demands)) if (key in config && !accepts(config[key])) throw unsupported(`${key} must be left at its default, got ${JSON.stringify(config[key])}`);
}

function unsupported(rule: string): DeftError {
  return new DeftError("lora.config", `lora: ${rule} in adapter_config.json. This variant of LoRA is not supported; merge it in the library that wrote it and load the merged model.`);
}

function others(config: Json, read: ReadonlySet<string>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(config).filter(([key]) => !read.has(key)));
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

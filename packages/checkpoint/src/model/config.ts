import type { ModelConfig } from "@deft-js/core";
import { DeftError } from "@deft-js/core";
import { join } from "node:path";
import { formatJson, readJsonObject } from "../files/json.ts";

/**
 * Reads a model folder's config.json as plain JSON of at most 4 MiB. What the keys mean is the model family's to check; only
 * `model_type`, by which the family is found, must be there.
 * @throws DeftError `checkpoint.missing` without the file, `checkpoint.config` on anything that is not such an object.
 */
export async function readModelConfig(folder: string): Promise<ModelConfig> {
  const path = join(folder, "config.json");
  const config = await readJsonObject(path, { code: "checkpoint.config" });
  if (typeof config["model_type"] !== "string") {
    throw new DeftError("checkpoint.config", `${path}: model_type must be a string, got ${JSON.stringify(config["model_type"]) ?? "nothing"}. Is it a transformers model?`);
  }
  return config;
}

/** Keys that transformers declares as floats. From version 5 on it refuses a whole number written as 1 there, which is what JSON makes of 1.0. */
const FLOATS = /^(\s*"(?:initializer_(?:factor|range)|init_std|layer_norm_eps(?:ilon)?|(?:attention_|activation_|classifier_)?dropout|dropout_rate|layerdrop|(?:hidden_dropout|attention_probs_dropout)_prob)": -?\d+)(?=,?$)/gm;

/** The text of config.json as transformers reads it. @throws DeftError `checkpoint.json` when JSON cannot hold it */
export function formatModelConfig(config: ModelConfig): string {
  return formatJson(config, "config").replace(FLOATS, "$1.0");
}

import { join } from "node:path";
import { DeftError } from "@deft-js/core";
import { isFile, pickleError } from "../files/pickle.ts";
import { isJsonObject, type JsonObject } from "../files/json.ts";

/** The libraries whose adapter folders are read and written. */
export type LayoutId = "peft" | "adapterhub";

/** Names of a tensor file: the first is written, all are read, the pickle is refused. */
export interface WeightNames {
  readonly safetensors: readonly [string, ...string[]];
  readonly pickle: string;
}

/** The adapter's tensors. AdapterHub: `adapter.safetensors` is the library's name, the other a pickle that was rewritten under its own stem. */
export const ADAPTER_WEIGHTS: Readonly<Record<LayoutId, WeightNames>> = {
  peft: { safetensors: ["adapter_model.safetensors"], pickle: "adapter_model.bin" },
  adapterhub: { safetensors: ["adapter.safetensors", "pytorch_adapter.safetensors"], pickle: "pytorch_adapter.bin" },
};

/** The head's tensors in AdapterHub's layout. */
export const HEAD_WEIGHTS: WeightNames = { safetensors: ["model_head.safetensors", "pytorch_model_head.safetensors"], pickle: "pytorch_model_head.bin" };

export const ADAPTER_CONFIG = "adapter_config.json";
export const HEAD_CONFIG = "head_config.json";
export const DEFT_FILE = "deft.json";

/** Every name that an adapter folder of either layout may hold: what goes when a folder is replaced. */
export const ADAPTER_FOLDER_NAMES: ReadonlySet<string> = new Set([
  ADAPTER_CONFIG, HEAD_CONFIG, DEFT_FILE,
  ...ADAPTER_WEIGHTS.peft.safetensors, ...ADAPTER_WEIGHTS.adapterhub.safetensors, ...HEAD_WEIGHTS.safetensors,
]);

/**
 * Which library wrote an adapter_config.json: PEFT's has `peft_type`, AdapterHub's has `config` beside `model_class` or `model_type`.
 * @throws DeftError `checkpoint.layout` when it is neither.
 */
export function detectLayout(config: JsonObject, who: string): LayoutId {
  if (typeof config["peft_type"] === "string") return "peft";
  if (isJsonObject(config["config"]) && ("model_class" in config || "model_type" in config)) return "adapterhub";
  const keys = Object.keys(config).slice(0, 8).join(", ");
  throw new DeftError("checkpoint.layout", `${who}: must be PEFT's (peft_type) or AdapterHub's (config, model_class), got keys ${keys || "none"}. Save the adapter with one of the two.`);
}

/** The first file of the names that is there. @throws DeftError `checkpoint.pickle`, `checkpoint.missing`. */
export async function findWeights(folder: string, { safetensors, pickle }: WeightNames): Promise<string> {
  for (const name of safetensors) if (await isFile(join(folder, name))) return join(folder, name);
  const [wanted] = safetensors;
  if (await isFile(join(folder, pickle))) throw pickleError({ folder, got: pickle, wanted });
  throw new DeftError("checkpoint.missing", `${folder}: must hold ${wanted}, got no such file. Is the adapter complete?`);
}

import { transposeMatrix, type AdapterLayout, type Model, type NamedArray } from "@deft-js/core";
import type { Branch } from "./branch.ts";
import type { LoraOptions } from "./options.ts";
import { checkShape, stateError } from "./state.ts";
import { isExactly, rolesOf } from "./targets.ts";

/** HF PEFT: `base_model.model.PATH.lora_A.weight` [r, dIn], `lora_B.weight` [dOut, r]. */
export function peftLayout(model: Model, branches: readonly Branch[], options: LoraOptions): AdapterLayout {
  const key = (path: string, matrix: string): string => `base_model.model.${path}.lora_${matrix}.weight`;
  return {
    config: () => ({
      ...options.kept?.peft,
      peft_type: "LORA",
      r: options.rank,
      lora_alpha: options.alpha,
      lora_dropout: options.dropout,
      target_modules: targetModules(model, branches),
      bias: "none",
      fan_in_fan_out: false,
      inference_mode: true,
      init_lora_weights: options.init === "gaussian" ? "gaussian" : true,
      modules_to_save: options.kept?.peft?.["modules_to_save"] ?? null,
    }),
    write: () => matrices(branches, key),
    read: (tensors) => readMatrices(branches, key, tensors, ".lora_"),
  };
}

/**
 * AdapterHub: `PATH.loras.NAME.lora_A` [r, dIn], `lora_B` [dOut, r]; undefined where its switches (attn_matrices,
 * intermediate_lora, output_lora) cannot say which layers are meant.
 */
export function adapterHubLayout(model: Model, branches: readonly Branch[], options: LoraOptions): AdapterLayout | undefined {
  const roles = rolesOf(model, branches.map(({ site }) => site.path));
  if (roles === undefined) return undefined;
  const attention = ["q", "k", "v"].filter((role) => roles.has(role));
  const key = (name: string) => (path: string, matrix: string): string => `${path}.loras.${name}.lora_${matrix}`;
  return {
    config: () => ({
      config: {
        ...options.kept?.adapterhub,
        architecture: "lora",
        r: options.rank,
        alpha: options.alpha,
        dropout: options.dropout,
        attn_matrices: attention,
        selfattn_lora: attention.length > 0,
        intermediate_lora: roles.has("intermediate"),
        output_lora: roles.has("output"),
        composition_mode: "add",
        init_weights: options.init === "bert" ? "bert" : "lora",
        use_gating: false,
      },
      hidden_size: model.config["hidden_size"] ?? model.config["d_model"],
      model_type: model.family,
    }),
    write: (name) => matrices(branches, key(name)),
    read: (tensors, name) => readMatrices(branches, key(name), tensors, `.loras.${name}.`),
  };
}

/** The last parts of the targets' paths where they say exactly which layers are meant, whole paths otherwise. */
function targetModules(model: Model, branches: readonly Branch[]): string[] {
  const paths = branches.map(({ site }) => site.path);
  const suffixes = [...new Set(paths.map((path) => path.slice(path.lastIndexOf(".") + 1)))].sort();
  return isExactly(model, paths, (path) => suffixes.includes(path.slice(path.lastIndexOf(".") + 1))) ? suffixes : paths;
}

type Key = (path: string, matrix: "A" | "B") => string;

function matrices(branches: readonly Branch[], key: Key): readonly NamedArray[] {
  return branches.flatMap(({ site, down, up }) => [
    transposed(key(site.path, "A"), down.data(), down.shape),
    transposed(key(site.path, "B"), up.data(), up.shape),
  ]);
}

/** Other tensors (a head's) are left to whoever reads them; those with the method's `mark` must all be known. */
function readMatrices(branches: readonly Branch[], key: Key, tensors: ReadonlyMap<string, NamedArray>, mark: string): void {
  const places = new Map(branches.flatMap(({ site, down, up }) => [[key(site.path, "A"), down] as const, [key(site.path, "B"), up] as const]));
  for (const name of tensors.keys()) if (name.includes(mark) && !places.has(name)) throw stateError(`takes its own tensors alone, got ${name} besides`);
  const found = [...places].map(([name, variable]) => {
    const array = tensors.get(name);
    if (array === undefined) throw stateError(`needs ${name}, got none of that name`);
    checkShape(name, array, [...variable.shape].reverse());
    return { variable, values: transposed(name, array.values, array.shape).values };
  });
  for (const { variable, values } of found) variable.load(values);
}

function transposed(name: string, values: Float32Array, shape: readonly number[]): NamedArray {
  const [rows = 0, columns = 0] = shape;
  return { name, shape: [columns, rows], values: transposeMatrix(values, rows, columns) };
}

import { DeftError } from "@deft-js/core";
import { parse } from "yaml";
import { isObject, type RawRecipe } from "./parse.ts";

/**
 * Applies `key.path=value` settings to a copy of a recipe. Values are YAML (`3`, `true`, `[a, b]`, `{ lora: { rank: 4 } }`), list items are named by
 * number, and a path may begin with the name of a stage that occurs once (`finetune.epochs=1`).
 * @throws DeftError `recipe.override`
 */
export function applyOverrides(recipe: RawRecipe, overrides: readonly string[]): RawRecipe {
  const copy = structuredClone(recipe);
  for (const override of overrides) {
    const at = override.indexOf("=");
    const keys = override.slice(0, at).split(".");
    if (at < 1 || keys.some((key) => key === "" || key === "__proto__" || key === "constructor" || key === "prototype"))
      throw new DeftError("recipe.override", `--set: must be key.path=value, got ${JSON.stringify(override)}. Write for example --set finetune.epochs=1.`);
    put(copy, fromStage(copy, keys), valueOf(override.slice(at + 1), override), override);
  }
  return copy;
}

function valueOf(text: string, override: string): unknown {
  try {
    return text === "" ? "" : (parse(text, { maxAliasCount: 0, logLevel: "error" }) as unknown);
  } catch (cause) {
    throw new DeftError("recipe.override", `--set: the value must be YAML, got ${JSON.stringify(override)}. Quote it.`, { cause });
  }
}

/** `finetune.epochs` → `stages.0.finetune.epochs`. */
function fromStage(recipe: RawRecipe, keys: readonly string[]): readonly string[] {
  const [first = ""] = keys;
  const stages = recipe["stages"];
  if (Object.hasOwn(recipe, first) || !Array.isArray(stages)) return keys;
  const at = stages.flatMap((stage: unknown, i) => (isObject(stage) && Object.hasOwn(stage, first) ? [i] : []));
  if (at.length > 1) throw new DeftError("recipe.override", `--set: ${first} must be one stage, got ${at.length}. Write stages.${at[0]}.${keys.join(".")}.`);
  return at.length === 0 ? keys : ["stages", String(at[0]), ...keys];
}

function put(target: RawRecipe, keys: readonly string[], value: unknown, override: string): void {
  let place: Record<string, unknown> = target;
  for (const key of keys.slice(0, -1)) {
    checkIndex(place, key, override);
    const next = (place[key] ??= {});
    if (typeof next !== "object") throw new DeftError("recipe.override", `--set: ${key} must hold options, got ${JSON.stringify(next)} in ${JSON.stringify(override)}. Set the whole value.`);
    place = next as Record<string, unknown>;
  }
  const last = keys.at(-1) ?? "";
  checkIndex(place, last, override);
  place[last] = value;
}

function checkIndex(place: object, key: string, override: string): void {
  if (Array.isArray(place) && !(/^\d+$/.test(key) && Number(key) <= place.length))
    throw new DeftError("recipe.override", `--set: a list takes the items 0 to ${place.length}, the last of them new, got ${key} in ${JSON.stringify(override)}. Name one of them.`);
}

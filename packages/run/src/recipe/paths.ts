import { existsSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import { isObject, type RawRecipe } from "./parse.ts";

/** Options of the toolkit's own that are always paths, by the key that holds them. */
const PATHS: Readonly<Record<string, readonly string[]>> = { export: ["path"], pretrain: ["text", "validation"] };

/** Options of tasks that are paths when something of that name lies beside the recipe. */
const TASK_PATHS = ["path", "train", "evaluation", "dev", "test"];

/**
 * Makes a recipe's paths absolute: every string that begins with `./` or `../`, wherever it stands; `output`, the paths of `export` and
 * `pretrain`, a task's files when they lie beside the recipe, and a tokenizer or config in any spelling; `model` in any spelling when such a folder lies beside the recipe (otherwise it is a hub name).
 * @param folder the recipe's folder
 */
export function absolutePaths(recipe: RawRecipe, folder: string): RawRecipe {
  const made = dotted(recipe, folder) as RawRecipe;
  const put = (place: Record<string, unknown>, key: string): void => {
    if (typeof place[key] === "string" && place[key] !== "") place[key] = resolve(folder, place[key]);
  };
  put(made, "output");
  const { model } = made;
  if (typeof model === "string") made["model"] = besideRecipe(model, folder);
  if (isObject(model)) {
    if (typeof model["path"] === "string") model["path"] = besideRecipe(model["path"], folder);
    for (const key of ["adapter", "init", "tokenizer"]) put(model, key);
  }
  for (const stage of Array.isArray(made["stages"]) ? (made["stages"] as unknown[]) : []) {
    if (!isObject(stage)) continue;
    for (const made of Object.values(stage)) taskPaths(made, folder);
    for (const [id, keys] of Object.entries(PATHS)) if (isObject(stage[id])) for (const key of keys) put(stage[id], key);
  }
  return made;
}

/** The files of every task in a stage, its own and those of its parts (a calibration's). */
function taskPaths(stage: unknown, folder: string): void {
  if (!isObject(stage)) return;
  for (const [key, value] of Object.entries(stage)) {
    if (key === "task" && isObject(value)) for (const options of Object.values(value)) taskFiles(options, folder);
    else taskPaths(value, folder);
  }
}

function taskFiles(options: unknown, folder: string): void {
  if (!isObject(options)) return;
  for (const key of TASK_PATHS) if (typeof options[key] === "string") options[key] = besideRecipe(options[key], folder);
}

function besideRecipe(name: string, folder: string): string {
  const path = resolve(folder, name);
  return isAbsolute(name) || existsSync(path) ? path : name;
}

function dotted(value: unknown, folder: string): unknown {
  if (typeof value === "string") return /^\.\.?\//.test(value) ? resolve(folder, value) : value;
  if (Array.isArray(value)) return value.map((item) => dotted(item, folder));
  if (isObject(value)) return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, dotted(item, folder)]));
  return value;
}

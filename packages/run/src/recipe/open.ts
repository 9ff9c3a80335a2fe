import { basename, dirname, extname, resolve } from "node:path";
import { DeftError, STAGE, REPORTER, type Kernel, type Plugin, type Reporter, type Stage } from "@deft-js/core";
import { stringify } from "yaml";
import { createKernel } from "../kernel/load.ts";
import { chosen, makeChosen } from "./choice.ts";
import { recipeError } from "./issues.ts";
import { applyOverrides } from "./overrides.ts";
import { isObject, readRecipeFile, type RawRecipe } from "./parse.ts";
import { absolutePaths } from "./paths.ts";
import { recipeSchema, type RecipeContent } from "./schema.ts";

/** Where a recipe comes from, and what is changed of it. */
export interface RecipeRequest {
  /** The recipe's file. */
  readonly file?: string | undefined;
  /** Or its content; relative paths start from `folder`. */
  readonly content?: RawRecipe | undefined;
  /** Where relative paths start; the file's folder, or the working directory. */
  readonly folder?: string | undefined;
  /** `key.path=value`, as `--set`. */
  readonly set?: readonly string[] | undefined;
  /** Outranks the recipe's. */
  readonly backend?: string | undefined;
  /** Outranks the recipe's; relative to the working directory. */
  readonly output?: string | undefined;
  /** Plugins in code, beside those that the recipe names and those installed. */
  readonly plugins?: readonly (Plugin | string)[] | undefined;
  readonly discover?: boolean | undefined;
}

/** A validated recipe, its plugins loaded and its stages made. */
export interface Recipe {
  readonly kernel: Kernel;
  readonly content: RecipeContent;
  readonly name: string;
  readonly stages: readonly Stage[];
  readonly reporters: readonly Reporter[];
  /** Warnings to be shown when the run has begun. */
  readonly warnings: readonly string[];
  /** The recipe as it runs: defaults filled in, paths absolute. */
  readonly text: string;
}

/**
 * Reads, overrides and validates a recipe, loads its plugins and makes its stages.
 * @throws DeftError `recipe.*`, `plugin.*`, `options.invalid` and what the contributions throw on their options
 */
export async function openRecipe(request: RecipeRequest): Promise<Recipe> {
  const { file, set = [], backend, output } = request;
  const raw = request.content ?? (await readRecipeFile(required(file)));
  const folder = resolve(request.folder ?? (file === undefined ? "." : dirname(file)));
  const changed = absolutePaths(applyOverrides(raw, set), folder);
  if (backend !== undefined && !(isObject(changed["backend"]) && Object.hasOwn(changed["backend"], backend))) changed["backend"] = backend; // the recipe's options of this one stay
  if (output !== undefined) changed["output"] = resolve(output);
  const warnings: string[] = [];
  const names = namesOf(changed["plugins"], file ?? "recipe");
  const onSkipped = (name: string, reason: string): number => warnings.push(`plugin ${name} is left out: ${reason}`);
  const kernel = await createKernel({ plugins: [...(request.plugins ?? []), ...names], from: folder, discover: request.discover, onSkipped });
  const content = validated(kernel, changed, file ?? "recipe");
  return {
    kernel,
    content,
    name: content.name ?? (file === undefined ? "run" : plainName(file)),
    stages: content.stages.map((stage) => makeChosen(kernel, STAGE, stage)),
    reporters: (content.reporters ?? []).map((reporter) => makeChosen(kernel, REPORTER, reporter)),
    warnings,
    text: stringify(resolved(content)),
  };
}

/** Validates a recipe's content against what the kernel holds. Throws `recipe.invalid`, `plugin.unknown`. */
export function validated(kernel: Kernel, raw: RawRecipe, who: string): RecipeContent {
  const schema = recipeSchema(kernel);
  const result = schema.safeParse(raw);
  if (!result.success) throw recipeError(who, schema, result.error);
  return result.data;
}

function required(file: string | undefined): string {
  if (file === undefined) throw new DeftError("recipe.missing", "recipe: a file or a content must be given, got neither. Give one.");
  return file;
}

function namesOf(plugins: unknown, who: string): readonly string[] {
  if (plugins === undefined || plugins === null) return [];
  if (Array.isArray(plugins) && plugins.every((name) => typeof name === "string" && name !== "")) return plugins as string[];
  throw new DeftError("recipe.invalid", `${who}: plugins must be a list of packages or paths, got ${JSON.stringify(plugins)}. Correct it.`);
}

function plainName(file: string): string {
  return basename(file, extname(file)).replaceAll(/[^\w.-]/g, "-").slice(0, 64) || "run";
}

/** Without the keys that were not chosen. */
function resolved(content: RecipeContent): unknown {
  const compact = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(compact);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined).map(([key, item]) => [key, compact(item)]));
  };
  return compact(content);
}

/** The back-end that a recipe asks for. */
export function backendOf({ backend }: RecipeContent): { id: string; options: Readonly<Record<string, unknown>> } {
  if (typeof backend === "string") return { id: backend, options: {} };
  const [id, options] = chosen(backend);
  return { id, options: (options ?? {}) as Record<string, unknown> };
}

import { readFile, stat } from "node:fs/promises";
import { DeftError } from "@deft-js/core";
import { isAlias, isScalar, parseDocument, visit } from "yaml";

/** Largest recipe, in bytes. */
const MAX_BYTES = 1 << 20;
const MAX_ALIASES = 100;
/** Deepest nesting. The text is checked for it before it is parsed: the parser recurses, and builds expressions as long as the indentation. */
const MAX_DEPTH = 100;

/** A recipe as it was written: a plain object, not validated. */
export type RawRecipe = Record<string, unknown>;

/** Whether a part of a recipe is a mapping. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Reads a recipe file of at most 1 MiB.
 * @throws DeftError `recipe.missing`, `recipe.syntax`
 */
export async function readRecipeFile(file: string): Promise<RawRecipe> {
  const entry = await stat(file).catch(() => undefined);
  if (entry?.isFile() !== true) throw new DeftError("recipe.missing", `${file}: must be a recipe file, got ${entry === undefined ? "nothing there" : "a folder"}. Check the path.`);
  if (entry.size > MAX_BYTES) throw new DeftError("recipe.syntax", `${file}: a recipe may have ${MAX_BYTES} bytes at most, got ${entry.size}. Is it the right file?`);
  return parseRecipe(await readFile(file, "utf8"), file);
}

/**
 * Parses a recipe: YAML 1.2 core (JSON is a part of it), keys unique, at most 100 aliases, no custom tags.
 * @throws DeftError `recipe.syntax`
 */
export function parseRecipe(text: string, who: string): RawRecipe {
  if (Buffer.byteLength(text) > MAX_BYTES) throw new DeftError("recipe.syntax", `${who}: a recipe may have ${MAX_BYTES} bytes at most, got ${Buffer.byteLength(text)}. Is it the right file?`);
  if (isTooDeep(text)) throw new DeftError("recipe.syntax", `${who}: may nest ${MAX_DEPTH} levels at most, got more. Is it a recipe?`);
  const value = parsed(text, who);
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new DeftError("recipe.syntax", `${who}: must be a mapping with the keys model and stages, got ${Array.isArray(value) ? "a list" : JSON.stringify(value) ?? "nothing"}. See \`deft schema\`.`);
  return { ...value, ...withOptions((value as RawRecipe)["stages"]) };
}

/** `- evaluate:` has nothing behind it: no options. */
function withOptions(stages: unknown): { readonly stages?: readonly unknown[] } {
  if (!Array.isArray(stages)) return {};
  return { stages: stages.map((stage: unknown) => (isObject(stage) ? Object.fromEntries(Object.entries(stage).map(([id, options]) => [id, options ?? {}])) : stage)) };
}

/** Whether the indentation, a chain of `- ` or `? `, or the brackets go deeper than any recipe. */
function isTooDeep(text: string): boolean {
  if (/^[ \t]{200}/m.test(text) || /(?:[-?][ \t]+){100}/.test(text)) return true;
  let depth = 0;
  for (const character of text) {
    if (character === "[" || character === "{") depth++;
    else if (character === "]" || character === "}") depth--;
    if (depth > MAX_DEPTH) return true;
  }
  return false;
}

function parsed(text: string, who: string): unknown {
  try {
    const document = parseDocument(text, { uniqueKeys: true, strict: true, prettyErrors: true, logLevel: "error" });
    const problem = document.errors[0] ?? document.warnings[0];
    if (problem !== undefined) throw problem;
    let aliases = 0;
    visit(document, (_key, node) => {
      if (isAlias(node)) aliases++;
      if (isScalar(node) && node.value === "__proto__") throw new Error("the key __proto__");
    });
    if (aliases > MAX_ALIASES) throw new Error(`${aliases} aliases where ${MAX_ALIASES} are allowed`);
    return document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (cause) {
    const got = (cause as Error).message.split("\n")[0] ?? "";
    throw new DeftError("recipe.syntax", `${who}: must be YAML, got ${got.replace(/[.:]$/, "")}. Correct it.`, { cause });
  }
}

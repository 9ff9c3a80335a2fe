import { existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { DeftError } from "@deft-js/core";

/** Where this package lies: plugins installed beside it are found too. */
const OWN_FOLDER = dirname(fileURLToPath(import.meta.url));

/** The file of a plugin that is named by package or by path, seen from a folder. Throws `plugin.missing`. */
export function resolvePlugin(name: string, folder: string): string {
  if (/^\.\.?\//.test(name) || isAbsolute(name)) return resolvePath(resolve(folder, name));
  for (const from of [folder, process.cwd(), OWN_FOLDER]) {
    const found = resolveFrom(name, from);
    if (found !== undefined) return found;
  }
  throw new DeftError("plugin.missing", `plugin ${name}: must be installed, got no such package from ${folder}. Run \`npm install ${name}\`.`);
}

function resolvePath(path: string): string {
  if (!existsSync(path)) throw new DeftError("plugin.missing", `plugin ${path}: must be a file or a package folder, got nothing there. Check the path (it is relative to the recipe).`);
  if (!statSync(path).isDirectory()) return path;
  const { name, exports } = manifestOf(path) ?? {};
  const entry = isDual(exports) ? importCondition(exports) : undefined;
  if (entry !== undefined) return join(path, entry);
  // A package may import itself by name, through its own `exports`; one without falls back on `main`.
  const found = (name === undefined ? undefined : resolveFrom(name, path)) ?? resolveFrom(path, path);
  if (found === undefined) throw new DeftError("plugin.missing", `plugin ${path}: must be a package with an entry, got none in its package.json. Name its file.`);
  return found;
}

function manifestOf(folder: string): { name?: string; exports?: unknown } | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { name?: string; exports?: unknown };
  } catch {
    return undefined;
  }
}

/** By Node's own rules for `require`, which know the conditions that the process runs with; where those find nothing, or an entry for `require` beside one for `import`, the latter. */
function resolveFrom(name: string, folder: string): string | undefined {
  const exports = exportsOf(name, folder);
  const entry = importCondition(exports?.content);
  const imported = exports === undefined || entry === undefined ? undefined : join(exports.home, entry);
  if (imported !== undefined && isDual(exports?.content)) return realpathSync(imported);
  try {
    return createRequire(join(folder, "from.js")).resolve(name);
  } catch {
    return imported;
  }
}

/** Whether a package has an entry for `require` of its own: it would bring another copy of core. */
function isDual(exports: unknown): boolean {
  if (typeof exports !== "object" || exports === null) return false;
  return Object.hasOwn(exports, "require") || isDual((exports as { ".": unknown })["."]);
}

/** The `exports` of a package that is installed above a folder. */
function exportsOf(name: string, from: string): { readonly home: string; readonly content: unknown } | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    const home = join(folder, "node_modules", name);
    const file = join(home, "package.json");
    if (existsSync(file)) {
      return { home, content: manifestOf(home)?.exports };
    }
    if (folder === dirname(folder)) return undefined;
  }
}

function importCondition(exports: unknown): string | undefined {
  if (typeof exports === "string") return exports;
  if (typeof exports !== "object" || exports === null) return undefined;
  const { ".": root, import: entry, default: last } = exports as Record<string, unknown>;
  return importCondition(root ?? entry ?? last);
}

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const OWN_FOLDER = dirname(fileURLToPath(import.meta.url));
const SCOPE = "@deft-js";
const KEYWORD = "deft-plugin";

interface Manifest {
  readonly keywords?: readonly string[];
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/**
 * Names of the plugins at hand: `@deft-js/plugin-*` installed where the folder or this package sees them, and dependencies of the
 * folder's package.json with the keyword `deft-plugin`.
 */
export function discoverPlugins(folder: string): readonly string[] {
  const names = new Set<string>();
  for (const from of [folder, OWN_FOLDER]) for (const name of installed(from)) names.add(name);
  for (const name of marked(folder)) names.add(name);
  return [...names].sort();
}

function* upwards(folder: string): Generator<string> {
  for (let at = folder; ; at = dirname(at)) {
    yield at;
    if (at === dirname(at)) return;
  }
}

function installed(folder: string): readonly string[] {
  return [...upwards(folder)].flatMap((at) => {
    try {
      return readdirSync(join(at, "node_modules", SCOPE)).filter((name) => name.startsWith("plugin-")).map((name) => `${SCOPE}/${name}`);
    } catch {
      return [];
    }
  });
}

function marked(folder: string): readonly string[] {
  const manifest = [...upwards(folder)].map((at) => manifestOf(at)).find((found) => found !== undefined);
  const dependencies = Object.keys({ ...manifest?.dependencies, ...manifest?.devDependencies, ...manifest?.optionalDependencies });
  return dependencies.filter((name) => [...upwards(folder)].some((at) => manifestOf(join(at, "node_modules", name))?.keywords?.includes(KEYWORD)));
}

function manifestOf(folder: string): Manifest | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;
  } catch {
    return undefined;
  }
}

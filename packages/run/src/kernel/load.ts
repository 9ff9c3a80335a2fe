import { pathToFileURL } from "node:url";
import { DeftError, Kernel, type Plugin } from "@deft-js/core";
import { builtIn, builtInStages } from "./builtin.ts";
import { discoverPlugins } from "./discover.ts";
import { resolvePlugin } from "./resolve.ts";

/** Where a kernel's plugins come from. */
export interface KernelOptions {
  /** Plugins in code; and by name: packages, or paths relative to `from`. */
  readonly plugins?: readonly (Plugin | string)[] | undefined;
  /** The folder that names are looked up from, and whose package.json is read; the working directory when left out. */
  readonly from?: string | undefined;
  /** Whether installed plugins are taken in without being named; true when left out. */
  readonly discover?: boolean | undefined;
  /** Told of each plugin that was found and could not be taken in. */
  readonly onSkipped?: ((name: string, reason: string) => void) | undefined;
}

/**
 * A kernel with the toolkit's own stages, the given plugins, and the installed ones. A plugin that is named must work; one that was merely found and does
 * not is skipped.
 * @throws DeftError `plugin.missing`, `plugin.load`, `plugin.invalid` and what `Kernel.use` throws
 */
export async function createKernel({ plugins = [], from = process.cwd(), discover = true, onSkipped }: KernelOptions = {}): Promise<Kernel> {
  const kernel = new Kernel();
  kernel.use(builtIn, builtInStages(kernel));
  const named: Plugin[] = [];
  for (const plugin of plugins) named.push(typeof plugin === "string" ? await importPlugin(plugin, from) : plugin);
  kernel.use(...new Set(named));
  const present = new Set(kernel.plugins.map((plugin) => plugin.name));
  for (const name of discover ? discoverPlugins(from) : []) {
    if (present.has(name)) continue;
    try {
      kernel.use(await importPlugin(name, from));
    } catch (error) {
      onSkipped?.(name, (error as Error).message);
    }
  }
  return kernel;
}

async function importPlugin(name: string, folder: string): Promise<Plugin> {
  const url = pathToFileURL(resolvePlugin(name, folder)).href;
  let loaded: { default?: Plugin };
  try {
    loaded = (await import(url)) as { default?: Plugin };
  } catch (cause) {
    throw new DeftError("plugin.load", `plugin ${name}: must load, got ${(cause as Error).message}. Correct or reinstall it.`, { cause });
  }
  if (loaded.default === undefined) throw new DeftError("plugin.invalid", `plugin ${name}: must export definePlugin({…}) as default, got no default export. Correct it.`);
  return loaded.default;
}

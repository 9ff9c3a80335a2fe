import { EXIT_CODES } from "../exit-codes.ts";
import type { RunApi } from "../run-api.ts";
import type { Terminal } from "../terminal.ts";

/** Writes the JSON Schema of recipes with the installed plugins' options; @returns the exit code. */
export async function schemaAction({ api, terminal, plugins }: { readonly api: RunApi; readonly terminal: Terminal; readonly plugins: readonly string[] }): Promise<number> {
  const kernel = await api.createKernel({ plugins, from: process.cwd() });
  terminal.line(JSON.stringify(api.recipeJsonSchema(kernel), null, 2));
  return EXIT_CODES.ok;
}

import { dirname } from "node:path";
import type { Kernel } from "@deft-js/core";
import { createKernel, startBackend } from "@deft-js/run";

/** The repository's folder: its package.json names the plugins. */
const ROOT = dirname(dirname(import.meta.dirname));

/** A kernel with the repository's plugins and one back-end running; `auto` takes the best that starts. */
export async function startKernel(id: string, options: Readonly<Record<string, unknown>> = {}): Promise<{ kernel: Kernel; backend: string }> {
  const kernel = await createKernel({ from: ROOT });
  return { kernel, backend: await startBackend({ kernel, id, options }) };
}

import { dirname } from "node:path";
import { ops, type Kernel } from "@deft-js/core";
import { createKernel, startBackend } from "@deft-js/run";

/** The plugins of this repository that the tools use, by package name. */
const PLUGINS = ["model-bert", "peft-lora", "peft-adapter", "density-loss", "task-glue", "task-text", "backend-native", "backend-wasm"].map((name) => `@deft-js/plugin-${name}`);

/** A kernel with the repository's plugins and one back-end running; `auto` takes the best that starts. */
export async function startKernel(backend: string): Promise<{ kernel: Kernel; backend: string }> {
  const { kernel } = await createKernel({ names: PLUGINS, folder: dirname(import.meta.dirname), discover: false });
  await startBackend({ kernel, id: backend });
  return { kernel, backend: ops.backendName() };
}

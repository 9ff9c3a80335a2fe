import { Kernel, ops, type Plugin } from "@deft-js/core";
import { builtIn, startBackend } from "@deft-js/run";

/** The plugins of this repository that the tools use, by package name. */
const PLUGINS = [
  "@deft-js/plugin-model-bert", "@deft-js/plugin-peft-lora", "@deft-js/plugin-peft-adapter", "@deft-js/plugin-density-loss",
  "@deft-js/plugin-backend-native", "@deft-js/plugin-backend-wasm",
];

/** A kernel with the repository's plugins and one back-end running; `auto` takes the best that starts. */
export async function startKernel(backend: string): Promise<{ kernel: Kernel; backend: string }> {
  const kernel = new Kernel().use(builtIn);
  for (const name of PLUGINS) kernel.use(((await import(name)) as { default: Plugin }).default);
  await startBackend(kernel, backend);
  return { kernel, backend: ops.backendName() };
}


import { BACKEND, definePlugin } from "@deft-js/core";
import { wasmBackend } from "./wasm.ts";

/** Registers the back-end `wasm`. */
export const wasmPlugin = definePlugin({
  name: "@deft-js/plugin-backend-wasm",
  version: "0.1.0",
  core: ">=0.1.0 <1.0.0",
  provides: ["backend:wasm"],
  register: (registry) => registry.add(BACKEND, { id: "wasm", summary: "WebAssembly with SIMD on the CPU, one thread, no install step", create: wasmBackend }),
});

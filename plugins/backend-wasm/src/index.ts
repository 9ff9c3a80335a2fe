export { wasmPlugin, wasmPlugin as default } from "./plugin.ts";
export { wasmBackend } from "./wasm.ts";

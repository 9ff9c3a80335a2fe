export { backendNodeGpuPlugin, backendNodeGpuPlugin as default } from "./plugin.ts";

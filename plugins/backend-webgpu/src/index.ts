export { backendWebgpuPlugin, backendWebgpuPlugin as default } from "./plugin.ts";

export { webgpuPlugin, webgpuPlugin as default } from "./plugin.ts";
export type { DeviceOptions } from "./device.ts";
export { webgpuBackend } from "./webgpu.ts";

export { nodeGpuBackend, type NodeGpuOptions, type NodeGpuPlaces } from "./node-gpu.ts";
export { nodeGpuPlugin, nodeGpuPlugin as default } from "./plugin.ts";
export type { TensorFlowPackage } from "./load.ts";

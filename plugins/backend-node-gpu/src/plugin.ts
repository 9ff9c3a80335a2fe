import { BACKEND, definePlugin, type Plugin } from "@deft-js/core";
import { z } from "zod";
import { nodeGpuBackend } from "./node-gpu.ts";

const schema = z.strictObject({
  package: z.enum(["tfjs-node-gpu", "tfjs-node"]).optional().describe("tfjs-node-gpu, or tfjs-node for TensorFlow on the CPU"),
});

/** Registers the back-end `node-gpu`. */
export const nodeGpuPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-backend-node-gpu",
  version: "0.1.0",
  core: ">=0.1.0 <1.0.0",
  provides: ["backend:node-gpu"],
  register: (registry) => registry.add(BACKEND, { id: "node-gpu", summary: "TensorFlow on an NVIDIA GPU (CUDA 11.2, Node 20)", options: schema, create: () => nodeGpuBackend() }),
});

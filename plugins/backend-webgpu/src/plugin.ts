import { BACKEND, definePlugin, type Plugin } from "@deft-js/core";
import { z } from "zod";
import { webgpuBackend } from "./webgpu.ts";

const schema = z.strictObject({
  powerPreference: z.enum(["high-performance", "low-power"]).optional().describe("which adapter of a machine with two GPUs; high-performance when left out"),
  software: z.boolean().optional().describe("whether a driver that computes on the CPU will do; false when left out"),
});

/** Registers the back-end `webgpu`. */
export const webgpuPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-backend-webgpu",
  version: "0.1.0",
  core: ">=0.1.0 <1.0.0",
  provides: ["backend:webgpu"],
  register: (registry) => registry.add(BACKEND, { id: "webgpu", summary: "WebGPU on the GPU through Dawn (Vulkan, Metal, Direct3D 12)", options: schema, create: webgpuBackend }),
});

import { definePlugin, type Plugin } from "@deft-js/core";

/** WebGPU back-end. */
export const backendWebgpuPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-backend-webgpu",
  version: "0.1.0",
  core: "^0.1",
  register() {
    // contributions come here
  },
});

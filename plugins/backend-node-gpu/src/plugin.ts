import { definePlugin, type Plugin } from "@deft-js/core";

/** TensorFlow back-end (tfjs-node, tfjs-node-gpu). */
export const backendNodeGpuPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-backend-node-gpu",
  version: "0.1.0",
  core: "^0.1",
  register() {
    // contributions come here
  },
});

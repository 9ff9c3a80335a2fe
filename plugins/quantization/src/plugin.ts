import { definePlugin, type Plugin } from "@deft-js/core";

/** Quantized weights: NF4, FP4 and int8. */
export const quantizationPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-quantization",
  version: "0.1.0",
  core: "^0.1",
  register() {
    // contributions come here
  },
});

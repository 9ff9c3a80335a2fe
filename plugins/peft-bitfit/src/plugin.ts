import { definePlugin, type Plugin } from "@deft-js/core";

/** BitFit: trained biases. */
export const peftBitfitPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-peft-bitfit",
  version: "0.1.0",
  core: "^0.1",
  register() {
    // contributions come here
  },
});

import { definePlugin, type Plugin } from "@deft-js/core";

/** Report of operations, bytes and energy. */
export const energyPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-energy",
  version: "0.1.0",
  core: "^0.1",
  register() {
    // contributions come here
  },
});

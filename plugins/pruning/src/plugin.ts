import { definePlugin, type Plugin } from "@deft-js/core";

/** Magnitude and WANDA pruning. */
export const pruningPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-pruning",
  version: "0.1.0",
  core: "^0.1",
  register() {
    // contributions come here
  },
});

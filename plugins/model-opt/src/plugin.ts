import { definePlugin, type Plugin } from "@deft-js/core";

/** OPT. */
export const modelOptPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-model-opt",
  version: "0.1.0",
  core: "^0.1",
  register() {
    // contributions come here
  },
});

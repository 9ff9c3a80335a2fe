import { definePlugin, type Plugin } from "@deft-js/core";

/** T5 and Flan-T5. */
export const modelT5Plugin: Plugin = definePlugin({
  name: "@deft-js/plugin-model-t5",
  version: "0.1.0",
  core: "^0.1",
  register() {
    // contributions come here
  },
});

import { definePlugin, type Plugin } from "@deft-js/core";

/** DoRA: weight-decomposed low-rank adaptation. */
export const peftDoraPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-peft-dora",
  version: "0.1.0",
  core: "^0.1",
  register() {
    // contributions come here
  },
});

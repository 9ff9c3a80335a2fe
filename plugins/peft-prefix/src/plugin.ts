import { definePlugin, type Plugin } from "@deft-js/core";

/** Prefix tuning. */
export const peftPrefixPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-peft-prefix",
  version: "0.1.0",
  core: "^0.1",
  register() {
    // contributions come here
  },
});

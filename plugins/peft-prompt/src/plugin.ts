import { definePlugin, type Plugin } from "@deft-js/core";

/** Prompt tuning. */
export const peftPromptPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-peft-prompt",
  version: "0.1.0",
  core: "^0.1",
  register() {
    // contributions come here
  },
});

import { definePlugin, type Plugin } from "@deft-js/core";

/** SQuAD as text-to-text. */
export const taskSquadPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-task-squad",
  version: "0.1.0",
  core: "^0.1",
  register() {
    // contributions come here
  },
});

import { definePlugin, type Plugin } from "@deft-js/core";

/** Execution that skips inactive neurons. */
export const sparseExecutionPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-sparse-execution",
  version: "0.1.0",
  core: "^0.1",
  register() {
    // contributions come here
  },
});

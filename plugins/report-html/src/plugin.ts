import { definePlugin, type Plugin } from "@deft-js/core";

/** HTML report of a run. */
export const reportHtmlPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-report-html",
  version: "0.1.0",
  core: "^0.1",
  register() {
    // contributions come here
  },
});

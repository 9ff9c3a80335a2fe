import { definePlugin, type Plugin } from "@deft-js/core";

/** ADA-DEFT: learned gates of MLP blocks and skip plans. */
export const adaDeftPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-ada-deft",
  version: "0.1.0",
  core: "^0.1",
  register() {
    // contributions come here
  },
});

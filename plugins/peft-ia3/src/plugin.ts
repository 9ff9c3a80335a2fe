import { definePlugin, type Plugin } from "@deft-js/core";

/** IA3: learned scales of keys, values and MLP activations. */
export const peftIa3Plugin: Plugin = definePlugin({
  name: "@deft-js/plugin-peft-ia3",
  version: "0.1.0",
  core: "^0.1",
  register() {
    // contributions come here
  },
});

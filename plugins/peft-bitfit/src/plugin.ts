import { definePlugin, PEFT_METHOD, type Plugin } from "@deft-js/core";
import { bitfit } from "./bitfit.ts";
import { bitfitSchema, type BitfitOptions } from "./options.ts";

/** Registers the PEFT method `bitfit`. */
export const bitfitPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-peft-bitfit",
  version: "0.1.0",
  core: "^0.1",
  provides: ["peft-method:bitfit"],
  register(registry) {
    registry.add(PEFT_METHOD, { id: "bitfit", summary: "Trained biases of linear layers and norms (arXiv:2106.10199)", options: bitfitSchema, create: (options: BitfitOptions) => bitfit(options) });
  },
});

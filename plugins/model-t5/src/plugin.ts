import { definePlugin, MODEL_FAMILY, type Plugin } from "@deft-js/core";
import { t5Family } from "./family.ts";

/** T5 and Flan-T5 for the kernel. */
export const modelT5Plugin: Plugin = definePlugin({
  name: "@deft-js/plugin-model-t5",
  version: "0.1.0",
  core: ">=0.1.0 <1.0.0",
  provides: ["model-family:t5"],
  register: (registry) => registry.add(MODEL_FAMILY, { id: t5Family.id, summary: "T5 and Flan-T5 encoder-decoders with a language-model head", create: () => t5Family }),
});

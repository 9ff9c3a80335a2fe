import { definePlugin, MODEL_FAMILY } from "@deft-js/core";
import { optFamily } from "./family.ts";

/** OPT for the kernel. */
export default definePlugin({
  name: "@deft-js/plugin-model-opt",
  version: "0.1.0",
  core: ">=0.1.0 <1.0.0",
  register: (registry) => registry.add(MODEL_FAMILY, { id: optFamily.id, summary: "OPT decoders, pre- and post-norm, with the tied language-model head", create: () => optFamily }),
});

import { ADAPTER_READER, definePlugin, PEFT_METHOD, type Plugin } from "@deft-js/core";
import { ia3 } from "./ia3.ts";
import { ia3Schema, type Ia3Options } from "./options.ts";
import { peftReader } from "./reader.ts";

/** Registers the PEFT method `ia3` and the reader of its configuration. */
export const ia3Plugin: Plugin = definePlugin({
  name: "@deft-js/plugin-peft-ia3",
  version: "0.1.0",
  core: "^0.1",
  provides: ["peft-method:ia3"],
  register(registry) {
    registry.add(PEFT_METHOD, { id: "ia3", summary: "Learned scales of keys, values and MLP activations (arXiv:2205.05638)", options: ia3Schema, create: (options: Ia3Options) => ia3(options) });
    registry.add(ADAPTER_READER, { id: "ia3-peft", summary: "IA3 in HF PEFT's adapter folders", create: () => peftReader });
  },
});

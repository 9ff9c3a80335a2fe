import { ADAPTER_READER, definePlugin, PEFT_METHOD, type Plugin } from "@deft-js/core";
import { lora } from "./lora.ts";
import { loraSchema, type LoraOptions } from "./options.ts";
import { adapterHubReader, peftReader } from "./readers.ts";

/** Registers the PEFT method `lora` and the readers of its configurations. */
export const loraPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-peft-lora",
  version: "0.1.0",
  core: "^0.1",
  provides: ["peft-method:lora"],
  register(registry) {
    registry.add(PEFT_METHOD, { id: "lora", summary: "Low-rank updates beside linear layers (arXiv:2106.09685)", options: loraSchema, create: (options: LoraOptions) => lora(options) });
    registry.add(ADAPTER_READER, { id: "lora-peft", summary: "LoRA in HF PEFT's adapter folders", create: () => peftReader });
    registry.add(ADAPTER_READER, { id: "lora-adapterhub", summary: "LoRA in AdapterHub's adapter folders", create: () => adapterHubReader });
  },
});

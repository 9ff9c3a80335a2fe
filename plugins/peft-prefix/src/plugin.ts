import { ADAPTER_READER, definePlugin, PEFT_METHOD, type Plugin } from "@deft-js/core";
import { prefixSchema, type PrefixOptions } from "./options.ts";
import { prefix } from "./prefix.ts";
import { adapterHubReader, peftReader } from "./readers.ts";

/** Registers the PEFT method `prefix` and the readers of its configurations. */
export const prefixPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-peft-prefix",
  version: "0.1.0",
  core: "^0.1",
  provides: ["peft-method:prefix"],
  register(registry) {
    registry.add(PEFT_METHOD, { id: "prefix", summary: "Trained keys and values in front at every attention (arXiv:2101.00190)", options: prefixSchema, create: (options: PrefixOptions) => prefix(options) });
    registry.add(ADAPTER_READER, { id: "prefix-peft", summary: "Prefix tuning in HF PEFT's adapter folders", create: () => peftReader });
    registry.add(ADAPTER_READER, { id: "prefix-adapterhub", summary: "Prefix tuning in AdapterHub's adapter folders", create: () => adapterHubReader });
  },
});

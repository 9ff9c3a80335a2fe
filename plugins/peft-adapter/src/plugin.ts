import { ADAPTER_READER, definePlugin, PEFT_METHOD, type Plugin } from "@deft-js/core";
import { adapter } from "./adapter.ts";
import { adapterSchema, type AdapterSettings } from "./options.ts";
import { adapterHubReader } from "./reader.ts";

/** Registers the PEFT method `adapter` and the reader of its configuration. */
export const adapterPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-peft-adapter",
  version: "0.1.0",
  core: "^0.1",
  provides: ["peft-method:adapter"],
  register(registry) {
    registry.add(PEFT_METHOD, { id: "adapter", summary: "Bottleneck adapters, pfeiffer (arXiv:2005.00247) or houlsby (arXiv:1902.00751)", options: adapterSchema, create: (options: AdapterSettings) => adapter(options) });
    registry.add(ADAPTER_READER, { id: "adapter-adapterhub", summary: "Bottleneck adapters in AdapterHub's folders", create: () => adapterHubReader });
  },
});

import { ADAPTER_READER, definePlugin, PEFT_METHOD, type Plugin } from "@deft-js/core";
import { dora } from "./dora.ts";
import { doraSchema, type DoraOptions } from "./options.ts";
import { peftReader } from "./reader.ts";

/** Registers the PEFT method `dora` and the reader of its configuration. */
export const doraPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-peft-dora",
  version: "0.1.0",
  core: "^0.1",
  provides: ["peft-method:dora"],
  register(registry) {
    registry.add(PEFT_METHOD, { id: "dora", summary: "Weights as magnitude and direction, the direction by a low-rank update (arXiv:2402.09353)", options: doraSchema, create: (options: DoraOptions) => dora(options) });
    registry.add(ADAPTER_READER, { id: "dora-peft", summary: "DoRA in HF PEFT's adapter folders", create: () => peftReader });
  },
});

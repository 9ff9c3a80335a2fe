import { ADAPTER_READER, definePlugin, PEFT_METHOD, type Plugin } from "@deft-js/core";
import { promptSchema, type PromptOptions } from "./options.ts";
import { prompt } from "./prompt.ts";
import { peftReader } from "./reader.ts";

/** Registers the PEFT method `prompt` and the reader of its configuration. */
export const promptPlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-peft-prompt",
  version: "0.1.0",
  core: "^0.1",
  provides: ["peft-method:prompt"],
  register(registry) {
    registry.add(PEFT_METHOD, { id: "prompt", summary: "Trained rows in front of the token embeddings (arXiv:2104.08691)", options: promptSchema, create: (options: PromptOptions) => prompt(options) });
    registry.add(ADAPTER_READER, { id: "prompt-peft", summary: "Prompt tuning in HF PEFT's adapter folders", create: () => peftReader });
  },
});

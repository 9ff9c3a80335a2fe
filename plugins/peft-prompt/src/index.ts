export { promptSchema, type PromptOptions, type PromptSettings } from "./options.ts";
export { promptPlugin, promptPlugin as default } from "./plugin.ts";
export { prompt } from "./prompt.ts";
export { peftReader } from "./reader.ts";

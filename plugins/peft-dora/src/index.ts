export { dora } from "./dora.ts";
export { doraSchema, type DoraOptions, type DoraSettings } from "./options.ts";
export { doraPlugin, doraPlugin as default } from "./plugin.ts";
export { peftReader } from "./reader.ts";

export { textSchema, type TextOptions, type TextSettings } from "./options.ts";
export { textPlugin, textPlugin as default } from "./plugin.ts";
export { text } from "./text.ts";

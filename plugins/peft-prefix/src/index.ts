export { prefixSchema, type PrefixOptions, type PrefixSettings } from "./options.ts";
export { prefixPlugin, prefixPlugin as default } from "./plugin.ts";
export { prefix } from "./prefix.ts";
export { adapterHubReader, peftReader } from "./readers.ts";

export { adapter } from "./adapter.ts";
export { adapterSchema, type AdapterOptions, type AdapterSettings } from "./options.ts";
export { adapterPlugin, adapterPlugin as default } from "./plugin.ts";
export { adapterHubReader } from "./reader.ts";

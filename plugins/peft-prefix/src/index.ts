export { peftPrefixPlugin, peftPrefixPlugin as default } from "./plugin.ts";

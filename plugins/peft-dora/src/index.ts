export { peftDoraPlugin, peftDoraPlugin as default } from "./plugin.ts";

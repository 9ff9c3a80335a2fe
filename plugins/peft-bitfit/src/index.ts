export { peftBitfitPlugin, peftBitfitPlugin as default } from "./plugin.ts";

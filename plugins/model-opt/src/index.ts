export { modelOptPlugin, modelOptPlugin as default } from "./plugin.ts";

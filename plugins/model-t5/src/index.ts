export { modelT5Plugin, modelT5Plugin as default } from "./plugin.ts";

export { quantizationPlugin, quantizationPlugin as default } from "./plugin.ts";

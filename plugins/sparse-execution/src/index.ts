export { sparseExecutionPlugin, sparseExecutionPlugin as default } from "./plugin.ts";

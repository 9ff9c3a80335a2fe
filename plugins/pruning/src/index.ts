export { pruningPlugin, pruningPlugin as default } from "./plugin.ts";

export { adaDeftPlugin, adaDeftPlugin as default } from "./plugin.ts";

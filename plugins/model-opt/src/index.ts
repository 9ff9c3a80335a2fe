export { optFamily } from "./family.ts";
export { default } from "./plugin.ts";

export { bertFamily } from "./family.ts";
export { default } from "./plugin.ts";

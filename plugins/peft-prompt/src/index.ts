export { peftPromptPlugin, peftPromptPlugin as default } from "./plugin.ts";

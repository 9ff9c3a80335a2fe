export { peftIa3Plugin, peftIa3Plugin as default } from "./plugin.ts";

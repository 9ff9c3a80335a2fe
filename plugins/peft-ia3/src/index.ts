export { ia3 } from "./ia3.ts";
export { DEFAULT_FEEDFORWARD, DEFAULT_TARGET, ia3Schema, type Ia3Options, type Ia3Settings } from "./options.ts";
export { ia3Plugin, ia3Plugin as default } from "./plugin.ts";
export { peftReader } from "./reader.ts";

export { bitfit } from "./bitfit.ts";
export { bitfitSchema, type BitfitOptions, type BitfitSettings } from "./options.ts";
export { bitfitPlugin, bitfitPlugin as default } from "./plugin.ts";

export { averageLora, type AveragedLora, type WeightedLora } from "./average.ts";
export { lora } from "./lora.ts";
export { loraSchema, type LoraOptions, type LoraSettings } from "./options.ts";
export { loraPlugin, loraPlugin as default } from "./plugin.ts";
export { adapterHubReader, peftReader } from "./readers.ts";

export { generate, generateTokens, type Generated, type GeneratedTokens } from "./generate.ts";
export { KeyValueCache, type KeyValue } from "./key-value-cache.ts";
export { generationOptions, generationSchema, type GenerationOptions, type GenerationSettings } from "./options.ts";

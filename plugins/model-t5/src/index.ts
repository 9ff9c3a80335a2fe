export { parseConfig, type T5Config } from "./config.ts";
export { t5Family } from "./family.ts";
export { modelT5Plugin, modelT5Plugin as default } from "./plugin.ts";
export { t5Specs } from "./parameters.ts";
export { relativeBucket, type BucketOptions } from "./relative-position.ts";

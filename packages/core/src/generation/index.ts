export { KeyValueCache, type KeyValue } from "./key-value-cache.ts";

export type { AddonDescription } from "./addon.ts";
export type { Precision } from "./backend.ts";
export { nativeStatus, registerNative, type NativeOptions, type NativeStatus } from "./native.ts";
export type { PoolStatistics } from "./pool.ts";
export { nativePlugin, nativePlugin as default } from "./plugin.ts";

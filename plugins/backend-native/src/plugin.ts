import { BACKEND, definePlugin, type Backend, type Plugin } from "@deft-js/core";
import { useBackend } from "@deft-js/tensor";
import { nativeStatus, registerNative, type NativeOptions } from "./native.ts";

const native = (): Backend => ({
  id: "native",
  rank: 30,
  start: async (options: NativeOptions = {}) => {
    registerNative(options);
    await useBackend("native");
  },
  status: () => {
    const { addon, precision = "f32", pool } = nativeStatus();
    return { ...addon, precision, ...(pool === undefined ? {} : { poolBytes: pool.free }) };
  },
});

/** Registers the back-end `native`. */
export const nativePlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-backend-native",
  version: "0.1.0",
  core: ">=0.1.0 <1.0.0",
  provides: ["backend:native"],
  register: (registry) => registry.add(BACKEND, { id: "native", summary: "C++ kernels and oneDNN or OpenBLAS on the CPU, all cores", create: native }),
});

import { BACKEND, definePlugin, type Backend, type Plugin } from "@deft-js/core";
import { useBackend } from "@deft-js/tensor";
import { z } from "zod";
import { nativeStatus, registerNative, type NativeOptions } from "./native.ts";

const schema = z.strictObject({
  threads: z.int().min(1).max(1024).optional().describe("threads for products and kernels; all cores when left out"),
  precision: z.enum(["f32", "bf16"]).optional().describe("bf16 rounds frozen weights and the activations that meet them; sums stay float32"),
  poolLimit: z.int().min(0).optional().describe("the most bytes that the buffer pool keeps free"),
  packLimit: z.int().min(0).optional().describe("the most bytes of frozen float32 weights that are held packed for faster products"),
  isa: z.enum(["auto", "portable", "avx2", "avx512"]).optional().describe("the instruction set of the kernels"),
});

const native = (): Backend => ({
  id: "native",
  rank: 30,
  start: async (options: NativeOptions = {}) => {
    registerNative(options);
    await useBackend("native");
  },
  status: () => {
    const { addon, precision = "f32", pool, packedBytes } = nativeStatus();
    return { ...addon, precision, ...(pool === undefined ? {} : { poolBytes: pool.free }), ...(packedBytes === undefined ? {} : { packedBytes }) };
  },
});

/** Registers the back-end `native`. */
export const nativePlugin: Plugin = definePlugin({
  name: "@deft-js/plugin-backend-native",
  version: "0.1.0",
  core: ">=0.1.0 <1.0.0",
  provides: ["backend:native"],
  register: (registry) => registry.add(BACKEND, { id: "native", summary: "C++ kernels and oneDNN or OpenBLAS on the CPU, all cores", options: schema, create: native }),
});

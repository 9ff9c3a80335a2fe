import { availableParallelism, totalmem } from "node:os";
import { DeftError, tf } from "@deft-js/tensor";
import { addonBuilt, addonFile, loadAddon, type Addon, type AddonDescription } from "./addon.ts";
import { NativeBackend, type Precision } from "./backend.ts";
import type { PoolStatistics } from "./pool.ts";
import { registerKernels } from "./register.ts";

/** Options of `registerNative`. */
export interface NativeOptions {
  /** Threads for products and kernels; all that the process may use by default. */
  readonly threads?: number;
  /** `bf16` rounds frozen weights, and the activations that meet them, to bfloat16 inside the product; sums stay float32. */
  readonly precision?: Precision;
  /** The most bytes that the buffer pool keeps free; an eighth of the machine's memory, at most 2 GiB, by default. */
  readonly poolLimit?: number;
  /** The most bytes of frozen float32 weights that are held packed; a thirty-second of the machine's memory by default. */
  readonly packLimit?: number;
  /** The instruction set of the kernels; DEFT_NATIVE_ISA, or the best one, by default. */
  readonly isa?: "auto" | "portable" | "avx2" | "avx512";
}

/** What is known about the native back-end. */
export interface NativeStatus {
  readonly built: boolean;
  /** Why it cannot start, and the one command that helps. */
  readonly problem?: string;
  readonly addon?: AddonDescription;
  readonly precision?: string;
  /** Present once it has started. */
  readonly pool?: PoolStatistics;
  /** Bytes of frozen weights that are held packed; present once it has started. */
  readonly packedBytes?: number;
}

const BUILD = "Run: apt-get install -y g++ make python3 libdnnl-dev && npm rebuild @deft-js/plugin-backend-native";

let started: NativeBackend | undefined;
let problemWithPrecision: string | undefined;

function load(): Addon {
  if (!addonBuilt()) throw new DeftError("native.missing", `native: the addon must be built, found none at ${addonFile()}. ${BUILD}.`);
  try {
    return loadAddon();
  } catch (error) {
    throw new DeftError("native.load", `native: the addon must load, got "${(error as Error).message}". ${BUILD}.`, { cause: error });
  }
}

/** bf16 without hardware for it would be slower than float32: it falls back, and the status says so. */
function usablePrecision(addon: Addon, wanted: Precision): Precision {
  problemWithPrecision = undefined;
  if (wanted === "f32" || addon.describe().bf16 === 1) return wanted;
  problemWithPrecision = "f32 (bf16 needs oneDNN and a processor with AVX512-BF16)";
  return "f32";
}

/**
 * Registers the back-end `native` with tfjs: C++ kernels over tfjs's CPU storage. Make it active with `useBackend("native")`.
 * @throws DeftError `native.missing` or `native.load`, naming the one command that builds the addon; `native.options` for options
 * that it refuses.
 */
export function registerNative(options: NativeOptions = {}): void {
  const addon = load();
  const isa = options.isa ?? process.env["DEFT_NATIVE_ISA"] ?? "auto";
  try {
    addon.configure(options.threads ?? availableParallelism(), isa);
  } catch (error) {
    throw new DeftError("native.options", (error as Error).message, { cause: error });
  }
  const precision = usablePrecision(addon, options.precision ?? "f32");
  const poolLimit = options.poolLimit ?? Math.min(2 * 2 ** 30, Math.floor(totalmem() / 8));
  const packLimit = options.packLimit ?? Math.floor(totalmem() / 32);
  if (tf.findBackendFactory("native") !== null) tf.removeBackend("native");
  else registerKernels();
  tf.registerBackend("native", () => (started = new NativeBackend({ addon, precision, poolLimit, packLimit })), 5);
}

/** Whether the native back-end is built and can start; its instruction set, matrix library, threads and buffer pool. */
export function nativeStatus(): NativeStatus {
  try {
    const addon = load().describe();
    const precision = problemWithPrecision ?? started?.precision;
    return { built: true, addon, ...(precision === undefined ? {} : { precision }), ...(started === undefined ? {} : { pool: started.pool.statistics, packedBytes: started.packedBytes }) };
  } catch (error) {
    return { built: addonBuilt(), problem: (error as Error).message };
  }
}

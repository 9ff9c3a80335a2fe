import { createRequire } from "node:module";
import { dirname } from "node:path";
import { DeftError, ops, type Backend } from "@deft-js/core";

const { tf } = ops;
const PACKAGE = "@tensorflow/tfjs-backend-wasm";

/** What is used of the package: it is loaded when the back-end starts, not before. */
interface WasmPackage {
  setWasmPaths(folder: string): void;
  getThreadsCount(): number;
}

/**
 * tfjs's WebAssembly back-end with the files of the installed package (nothing is fetched) and this toolkit's host kernels.
 * One thread: see README.md.
 */
export function wasmBackend(): Backend {
  let loaded: WasmPackage | undefined;
  return {
    id: "wasm",
    rank: 10,
    async start() {
      loaded = await quietly(async () => {
        const found = await load();
        found.setWasmPaths(`${dirname(createRequire(import.meta.url).resolve(PACKAGE))}/`);
        ops.registerHostKernels("wasm");
        await ops.useBackend("wasm");
        return found;
      });
    },
    status: () => ({
      threads: loaded?.getThreadsCount() ?? 1,
      simd: tf.env().getBool("WASM_HAS_SIMD_SUPPORT"),
      version: (createRequire(import.meta.url)(`${PACKAGE}/package.json`) as { version: string }).version,
    }),
  };
}

async function load(): Promise<WasmPackage> {
  try {
    return (await import(PACKAGE)) as WasmPackage;
  } catch (cause) {
    throw new DeftError("backend.missing", `wasm: ${PACKAGE} must load, got ${(cause as Error).message}. Run \`npm install ${PACKAGE}@4.22.0\`.`, { cause });
  }
}

/** tfjs writes notes on its kernels and on SIMD to the console while it starts: they are for browsers, and are held back. */
async function quietly<T>(body: () => Promise<T>): Promise<T> {
  const { console: speaker } = globalThis;
  const names = ["log", "info", "warn"] as const;
  const spoken = names.map((name) => [name, speaker[name]] as const);
  for (const name of names) speaker[name] = () => undefined;
  try {
    return await body();
  } finally {
    for (const [name, speak] of spoken) speaker[name] = speak;
  }
}

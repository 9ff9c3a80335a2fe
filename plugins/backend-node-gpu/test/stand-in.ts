import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const require = createRequire(join(import.meta.dirname, "../../../packages/tensor/src/from.js"));
const CORE = require.resolve("@tensorflow/tfjs-core");
const CPU = require.resolve("@tensorflow/tfjs-backend-cpu");

/** A folder where a package of this name is installed whose main file has this text. */
export function installed(name: string, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "deft-node-gpu-"));
  const home = join(folder, "node_modules", "@tensorflow", name);
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, "package.json"), JSON.stringify({ name: `@tensorflow/${name}`, version: "4.22.0", main: "index.js" }));
  writeFileSync(join(home, "index.js"), text);
  return folder;
}

/** Behaves as tfjs-node does when it loads: takes over as `tensorflow` and hands on tfjs-core; computes on tfjs's cpu. */
export const working = (gpu: boolean): string => `
  const tf = require(${JSON.stringify(CORE)});
  const { MathBackendCPU } = require(${JSON.stringify(CPU)});
  if (!require("util").isNullOrUndefined(null) || !require("util").isArray([])) throw new Error("util");
  class Stand extends MathBackendCPU { constructor() { super(); this.firstUse = false; this.isUsingGpuDevice = ${gpu}; } }
  if (tf.findBackendFactory("tensorflow") !== null) tf.removeBackend("tensorflow");
  for (const kernel of tf.getKernelsForBackend("cpu")) if (!tf.getKernel(kernel.kernelName, "tensorflow")) tf.registerKernel({ ...kernel, backendName: "tensorflow" });
  tf.registerBackend("tensorflow", () => new Stand(), 3);
  if (!tf.setBackend("tensorflow")) throw new Error("Could not initialize TensorFlow backend.");
  Object.assign(exports, tf);
`;

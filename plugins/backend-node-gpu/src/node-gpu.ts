import { DeftError, type Backend } from "@deft-js/core";
import { tf, useBackend } from "@deft-js/tensor";
import { loadTensorFlow, type TensorFlowPackage } from "./load.ts";

/** The name under which the packages register with tfjs. */
const NAME = "tensorflow";

/** Options of the back-end. */
export interface NodeGpuOptions {
  /** `tfjs-node-gpu` by default; `tfjs-node` computes on the CPU, and only when asked for. */
  readonly package?: TensorFlowPackage | undefined;
}

/** Where packages are looked for. */
export interface NodeGpuPlaces {
  /** Folders whose `node_modules`, and those above, may hold the packages: this plugin's and the working directory by default. */
  readonly folders?: readonly string[] | undefined;
}

interface TensorFlowBackend {
  readonly isUsingGpuDevice: boolean;
}

/** TensorFlow's C library under tfjs: on an NVIDIA GPU, or with `package: "tfjs-node"` on the CPU. See README.md. */
export function nodeGpuBackend({ folders = [import.meta.dirname, process.cwd()] }: NodeGpuPlaces = {}): Backend {
  let started: TensorFlowPackage | undefined;
  return {
    id: "node-gpu",
    rank: 40,
    async start({ package: name = "tfjs-node-gpu" }: NodeGpuOptions = {}) {
      const before = tf.engine().backendName;
      try {
        await loadTensorFlow({ name, folders });
        await useBackend(NAME);
        if (name === "tfjs-node-gpu") demandGpu();
      } catch (error) {
        // The package makes itself the active back-end as it loads: one that is refused must not stay it.
        if (before && tf.engine().backendName !== before) await useBackend(before);
        throw error;
      }
      started = name;
    },
    status: () => ({ package: started ?? "none", gpu: started !== undefined && running().isUsingGpuDevice, version: "4.22.0", libtensorflow: "2.9.1" }),
  };
}

const running = (): TensorFlowBackend => tf.findBackend(NAME) as unknown as TensorFlowBackend;

function demandGpu(): void {
  if (!running().isUsingGpuDevice)
    throw new DeftError("backend.adapter", "node-gpu: must compute on a GPU, TensorFlow found none. Install an NVIDIA driver, CUDA 11.2 and cuDNN 8.1 and name their libraries in LD_LIBRARY_PATH; or, for TensorFlow on the CPU, set `backend: { node-gpu: { package: tfjs-node } }`.");
}

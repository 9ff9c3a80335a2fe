import { DeftError, type Backend } from "@deft-js/core";
import { tf, useBackend } from "@deft-js/tensor";
import type { DawnPackage } from "./dawn.ts";
import { demandVulkanLoader, nameOf, openDevice, refuseSoftware, type DeviceOptions, type OpenDevice } from "./device.ts";
import { registerKernels } from "./register.ts";
import { backendOn, type TfjsWebGpuClass, type WebGpuBackend } from "./tfjs-backend.ts";

const NAME = "webgpu";
const DAWN = { name: "webgpu", version: "0.6.2" };
const TFJS = { name: "@tensorflow/tfjs-backend-webgpu", version: "4.22.0" };
/** What tfjs's programs name of WebGPU's globals. */
const GLOBALS = ["GPUBuffer", "GPUBufferUsage", "GPUMapMode", "GPUShaderStage", "GPUTexture", "GPUTextureUsage"];

interface Running {
  readonly open: OpenDevice;
  readonly backend: WebGpuBackend;
}

/** One device for the process, opened at the first start: a second one could not see the tensors of the first. */
let running: Running | undefined;

/** tfjs's WebGPU back-end on Dawn: float32 on the GPU, from npm alone. See README.md. */
export function webgpuBackend(): Backend {
  return {
    id: NAME,
    rank: 20,
    async start(options: DeviceOptions = {}) {
      if (running === undefined) running = await run(options);
      else refuseSoftware(running.open.info, options);
      await useBackend(NAME);
    },
    status: () => {
      if (running === undefined) return { adapter: "none" };
      const { open, backend } = running;
      return { adapter: nameOf(open.info), software: open.info.isFallbackAdapter, bytesAllocated: backend.bytesAllocated, dawn: DAWN.version, version: TFJS.version };
    },
  };
}

async function run(options: DeviceOptions): Promise<Running> {
  // Loaded before there is a `navigator.gpu`, tfjs's package registers its kernels and leaves the back-end to us.
  const { WebGPUBackend } = await load<{ readonly WebGPUBackend: TfjsWebGpuClass }>(TFJS);
  const dawn = await load<DawnPackage>(DAWN);
  demandVulkanLoader();
  const open = await openDevice(dawn, options);
  Object.assign(globalThis, Object.fromEntries(GLOBALS.map((name) => [name, dawn.globals[name]])));
  const backend = withNavigator(open, () => backendOn(open, WebGPUBackend));
  registerKernels();
  tf.registerBackend(NAME, () => backend);
  return { open, backend };
}

async function load<T>({ name, version }: { readonly name: string; readonly version: string }): Promise<T> {
  try {
    return (await import(name)) as T;
  } catch (cause) {
    throw new DeftError("backend.missing", `webgpu: the package ${name} must load, got ${(cause as Error).message}. Run \`npm install ${name}@${version}\`.`, { cause });
  }
}

/** tfjs's constructor asks whether `navigator.gpu` is there and never looks at it again: it is there for that long. */
function withNavigator<T>({ gpu }: OpenDevice, body: () => T): T {
  const before = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  Object.defineProperty(globalThis, "navigator", { value: { gpu }, configurable: true });
  try {
    return body();
  } finally {
    if (before === undefined) Reflect.deleteProperty(globalThis, "navigator");
    else Object.defineProperty(globalThis, "navigator", before);
  }
}

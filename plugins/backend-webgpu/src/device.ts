import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DeftError } from "@deft-js/core";
import type { Adapter, AdapterInfo, DawnPackage, Device, Gpu } from "./dawn.ts";
import { EventPump } from "./event-pump.ts";

/** Which adapter is wanted. */
export interface DeviceOptions {
  /** On a machine with two GPUs; `high-performance` by default. */
  readonly powerPreference?: "high-performance" | "low-power" | undefined;
  /** Whether a driver that computes on the CPU will do; false by default, as it is slower than the other CPU back-ends. */
  readonly software?: boolean | undefined;
}

/** An open device. */
export interface OpenDevice {
  readonly gpu: Gpu;
  readonly device: Device;
  readonly info: AdapterInfo;
  readonly pump: EventPump;
}

/** What tfjs's programs want more of than WebGPU promises everywhere. */
const LIMITS = [
  "maxBufferSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupStorageSize",
  "maxComputeWorkgroupsPerDimension",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
];

const SOFTWARE = "`apt-get install -y libvulkan1 chromium`, VK_DRIVER_FILES=/usr/lib/chromium/vk_swiftshader_icd.json and the option `software: true`";

/**
 * Opens the adapter that Dawn finds (Vulkan, Metal, Direct3D 12) with its own limits.
 * @throws DeftError `backend.adapter` when there is none, or only a software adapter and that was not asked for; `backend.device`
 */
export async function openDevice(dawn: DawnPackage, options: DeviceOptions): Promise<OpenDevice> {
  const pump = new EventPump();
  const gpu = dawn.create([]);
  const adapter = await pump.within(() => gpu.requestAdapter({ powerPreference: options.powerPreference ?? "high-performance" }));
  if (adapter === null)
    throw new DeftError("backend.adapter", `webgpu: needs an adapter, Dawn found none. Install the GPU's driver (Linux: \`apt-get install -y mesa-vulkan-drivers\`, or NVIDIA's), or compute in software: ${SOFTWARE}.`);
  refuseSoftware(adapter.info, options);
  return { gpu, device: await deviceOf(adapter, pump), info: adapter.info, pump };
}

/** Throws `backend.adapter` when the adapter computes on the CPU and that was not asked for: `auto` must not prefer it to wasm. */
export function refuseSoftware(info: AdapterInfo, { software = false }: DeviceOptions): void {
  if (info.isFallbackAdapter && !software)
    throw new DeftError("backend.adapter", `webgpu: needs a GPU, found the software adapter ${nameOf(info)}, which is slower than the CPU back-ends. Set \`backend: { webgpu: { software: true } }\` to use it all the same.`);
}

/** The adapter's name for people. */
export function nameOf({ description, device, architecture, vendor }: AdapterInfo): string {
  return [device, description, architecture, vendor].filter((name) => name !== "").slice(0, 2).join(", ") || "without a name";
}

async function deviceOf(adapter: Adapter, pump: EventPump): Promise<Device> {
  const requiredFeatures = ["timestamp-query"].filter((name) => adapter.features.has(name));
  const requiredLimits = Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name] as number]));
  try {
    return await pump.within(() => adapter.requestDevice({ requiredFeatures, requiredLimits }));
  } catch (cause) {
    throw new DeftError("backend.device", `webgpu: the adapter ${nameOf(adapter.info)} must give a device, got ${(cause as Error).message}. Update its driver.`, { cause });
  }
}

/** Throws `backend.adapter` on a Linux whose dynamic linker finds no Vulkan: asked there, Dawn writes warnings to standard error. */
export function demandVulkanLoader(): void {
  if (process.platform === "linux" && !hasVulkanLoader())
    throw new DeftError("backend.adapter", "webgpu: needs Vulkan's loader libvulkan.so.1, found none. Run `apt-get install -y libvulkan1 mesa-vulkan-drivers` (an NVIDIA GPU: its own driver in place of Mesa's).");
}

function hasVulkanLoader(): boolean {
  const name = "libvulkan.so.1";
  const folders = [...(process.env["LD_LIBRARY_PATH"] ?? "").split(":").filter(Boolean), "/lib", "/usr/lib", "/lib64", "/usr/lib64"];
  if (folders.some((folder) => existsSync(join(folder, name)))) return true;
  try {
    return readFileSync("/etc/ld.so.cache").includes(name);
  } catch {
    return false;
  }
}

/** What is used of WebGPU: the parts of the standard that this plugin names. */

/** What an adapter says of itself. */
export interface AdapterInfo {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  /** True of a driver that computes on the CPU. */
  readonly isFallbackAdapter: boolean;
}

/** A buffer on the device. */
export interface DeviceBuffer {
  readonly size: number;
  readonly mapState: "unmapped" | "pending" | "mapped";
  mapAsync(mode: number): Promise<void>;
  getMappedRange(): ArrayBuffer;
  unmap(): void;
  destroy(): void;
}

/** What a program may read and write: its place in the program's list of bindings. */
export interface BindGroupLayout {
  readonly __brand?: "GPUBindGroupLayout";
}

/** The buffers of one launch. */
export interface BindGroup {
  readonly __brand?: "GPUBindGroup";
}

/** A compiled program. */
export interface ComputePipeline {
  readonly __brand?: "GPUComputePipeline";
}

/** Records launches. */
export interface ComputePass {
  setPipeline(pipeline: ComputePipeline): void;
  setBindGroup(index: number, group: BindGroup): void;
  dispatchWorkgroups(x: number, y: number, z: number): void;
  end(): void;
}

/** Records copies and passes of launches. */
export interface CommandEncoder {
  copyBufferToBuffer(from: DeviceBuffer, fromByte: number, to: DeviceBuffer, toByte: number, bytes: number): void;
  beginComputePass(): ComputePass;
}

/** One binding of a layout. */
export interface LayoutEntry {
  readonly binding: number;
  readonly visibility: number;
  readonly buffer: { readonly type: "storage" | "read-only-storage" | "uniform" };
}

/** A device: queue, memory and programs on one adapter. */
export interface Device {
  readonly queue: { writeBuffer(buffer: DeviceBuffer, byte: number, data: ArrayBuffer): void };
  createBuffer(descriptor: { readonly size: number; readonly usage: number; readonly mappedAtCreation?: boolean }): DeviceBuffer;
  createShaderModule(descriptor: { readonly label: string; readonly code: string }): object;
  createBindGroupLayout(descriptor: { readonly entries: readonly LayoutEntry[] }): BindGroupLayout;
  createPipelineLayout(descriptor: { readonly bindGroupLayouts: readonly BindGroupLayout[] }): object;
  createComputePipeline(descriptor: { readonly label: string; readonly layout: object; readonly compute: { readonly module: object; readonly entryPoint: string } }): ComputePipeline;
  createBindGroup(descriptor: { readonly layout: BindGroupLayout; readonly entries: readonly { readonly binding: number; readonly resource: { readonly buffer: DeviceBuffer } }[] }): BindGroup;
  readonly lost: Promise<{ readonly reason: string; readonly message: string }>;
  addEventListener(type: "uncapturederror", listener: (event: { readonly error: { readonly message: string }; preventDefault(): void }) => void): void;
  destroy(): void;
}

/** A GPU, or a driver that does its work. */
export interface Adapter {
  readonly info: AdapterInfo;
  readonly features: ReadonlySet<string>;
  readonly limits: Readonly<Record<string, number>>;
  requestDevice(descriptor: { readonly requiredFeatures: readonly string[]; readonly requiredLimits: Readonly<Record<string, number>> }): Promise<Device>;
}

/** The entry point. */
export interface Gpu {
  requestAdapter(options: { readonly powerPreference: string }): Promise<Adapter | null>;
}

/** The npm package `webgpu`: Dawn as a Node addon. */
export interface DawnPackage {
  create(flags: readonly string[]): Gpu;
  readonly globals: Readonly<Record<string, unknown>>;
}

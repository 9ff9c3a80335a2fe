import { DeftError } from "@deft-js/core";
import { tf } from "@deft-js/tensor";
import { Compute, type Recorder, type Stored } from "./compute.ts";
import type { DeviceBuffer } from "./dawn.ts";
import { DeviceBuffers } from "./device-buffers.ts";
import type { OpenDevice } from "./device.ts";

// Numbers of the WebGPU standard: GPUBufferUsage and GPUMapMode.
const MAP_READ = 1;
const COPY_SRC = 4;
const COPY_DST = 8;
const STORAGE = 128;
const MAP_MODE_READ = 1;

/** What is used of the class `WebGPUBackend` of tfjs beyond its public face. */
interface TfjsWebGpu extends tf.KernelBackend, Recorder {
  readonly tensorMap: { get(dataId: object): Stored; has(dataId: object): boolean };
  readonly bufferManager: DeviceBuffers;
  getBufferData(from: DeviceBuffer): Promise<ArrayBuffer>;
  convertAndCacheOnCPU(dataId: object, values: tf.backend_util.BackendValues): tf.backend_util.BackendValues;
  readSync(dataId: object): tf.backend_util.BackendValues;
}

/** The class that `@tensorflow/tfjs-backend-webgpu` exports. */
export type TfjsWebGpuClass = new (device: unknown, info: unknown) => TfjsWebGpu;

/** The back-end as this plugin runs it. */
export interface WebGpuBackend extends tf.KernelBackend {
  /** Bytes of device memory taken, free buffers included. */
  readonly bytesAllocated: number;
  /** Runs this plugin's own programs. */
  readonly compute: Compute;
}

/**
 * tfjs's back-end on a device of Dawn, with memory and programs of our own beside its own (`bufferManager`, `compute`) and two other differences. It reads synchronously, which tfjs can only by drawing on a browser's canvas. And what the device
 * reports (a program that does not compile, memory that it does not have) fails the next read; WebGPU itself goes on with buffers of zeros.
 */
export function backendOn({ device, info, pump }: OpenDevice, Tfjs: TfjsWebGpuClass): WebGpuBackend {
  let failure: string | undefined;
  device.addEventListener("uncapturederror", (event) => {
    event.preventDefault();
    failure ??= event.error.message;
  });
  void device.lost.then(({ reason, message }) => (failure ??= `device lost (${reason}): ${message}`));

  class Reading extends Tfjs implements WebGpuBackend {
    override readonly bufferManager = new DeviceBuffers(device);
    readonly compute = new Compute(device, this);

    get bytesAllocated(): number {
      return this.bufferManager.numBytesAllocated;
    }

    override readSync(dataId: object): tf.backend_util.BackendValues {
      const { values, resource, dtype } = this.tensorMap.get(dataId);
      if ((values ?? undefined) !== undefined || dtype === "complex64" || !resource) return super.readSync(dataId);
      const { buffer, mapping } = this.#copyToHost(resource);
      mapping.catch(() => undefined);
      if (!pump.waitUntil(() => buffer.mapState !== "pending") || buffer.mapState !== "mapped") failure ??= "its memory could not be read.";
      const read = tf.util.convertBackendValuesAndArrayBuffer(this.#taken(buffer), dtype);
      return this.convertAndCacheOnCPU(dataId, read);
    }

    /** tfjs keeps what has been read: not where a program has written over it in the meantime. */
    override async read(dataId: object): Promise<tf.backend_util.BackendValues> {
      const stored = this.tensorMap.get(dataId);
      const { changes, values, resource, dtype } = stored;
      if ((values ?? undefined) !== undefined || dtype === "complex64" || !resource) return super.read(dataId);
      const read = tf.util.convertBackendValuesAndArrayBuffer(await this.getBufferData(resource), dtype);
      return this.tensorMap.has(dataId) && stored.changes === changes ? this.convertAndCacheOnCPU(dataId, read) : read;
    }

    override async getBufferData(from: DeviceBuffer): Promise<ArrayBuffer> {
      const { buffer, mapping } = this.#copyToHost(from);
      await mapping.catch((error: unknown) => (failure ??= (error as Error).message));
      return this.#taken(buffer);
    }

    /** WebGPU binds no buffer of 0 bytes: an empty input, which a program may have beside a result that is not empty, gets four that nobody reads. */
    override uploadToGPU(dataId: object): void {
      const stored = this.tensorMap.get(dataId);
      if (tf.util.sizeFromShape(stored.shape) > 0) super.uploadToGPU(dataId);
      else stored.resource ??= this.bufferManager.acquireBuffer(4, STORAGE | COPY_SRC | COPY_DST);
    }

    override submitQueue(): void {
      super.submitQueue();
      this.bufferManager.trim();
    }

    /** Queues a copy into a buffer that the host may read, and asks for it to be mapped. */
    #copyToHost(from: DeviceBuffer): { readonly buffer: DeviceBuffer; readonly mapping: Promise<void> } {
      const buffer = this.bufferManager.acquireBuffer(from.size, MAP_READ | COPY_DST);
      this.ensureCommandEncoderReady();
      this.endComputePassEncoder();
      this.commandEncoder.copyBufferToBuffer(from, 0, buffer, 0, from.size);
      this.submitQueue();
      return { buffer, mapping: pump.within(() => buffer.mapAsync(MAP_MODE_READ)) };
    }

    #taken(buffer: DeviceBuffer): ArrayBuffer {
      if (failure !== undefined) throw new DeftError("backend.device", `webgpu: the device must compute without an error, got: ${failure.trim()} Use smaller batches if its memory is short, or another back-end.`);
      const bytes = buffer.getMappedRange().slice(0);
      buffer.unmap();
      this.bufferManager.releaseBuffer(buffer);
      return bytes;
    }
  }
  return new Reading(device, info);
}

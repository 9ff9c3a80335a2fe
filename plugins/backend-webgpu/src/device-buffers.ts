import type { Device, DeviceBuffer } from "./dawn.ts";

interface Own {
  /** In the order of creation. */
  readonly number: number;
  readonly kind: string;
  readonly bytes: number;
}

/**
 * The device's memory in buffers that are used again, in place of tfjs's class of the same face. Of the free buffers of a size the oldest is always taken: what a step gets then
 * depends on which are free alone and not on the order in which they became so, and every step gets the same ones, so that the groups that bind them are made once.
 */
export class DeviceBuffers {
  readonly #device: Device;
  readonly #own = new Map<DeviceBuffer, Own>();
  /** By size and usage, the oldest at the end. */
  readonly #free = new Map<string, DeviceBuffer[]>();
  #next = 0;
  /** Handed out. */
  numBytesUsed = 0;
  /** Taken from the device, free ones included. */
  numBytesAllocated = 0;

  constructor(device: Device) {
    this.#device = device;
  }

  /** A buffer of exactly this size: a free one, with what was last in it, or a new one; `reuse`: false wants a new one. */
  acquireBuffer(bytes: number, usage: number, mappedAtCreation = false, reuse = true): DeviceBuffer {
    const kind = `${bytes}_${usage}`;
    const buffer = (reuse ? this.#free.get(kind)?.pop() : undefined) ?? this.#created(bytes, usage, mappedAtCreation, kind);
    this.numBytesUsed += bytes;
    return buffer;
  }

  #created(bytes: number, usage: number, mappedAtCreation: boolean, kind: string): DeviceBuffer {
    const buffer = this.#device.createBuffer({ size: bytes, usage, mappedAtCreation });
    this.#own.set(buffer, { number: this.#next++, kind, bytes });
    this.numBytesAllocated += bytes;
    return buffer;
  }

  /** Takes a buffer back, for others or, with `reuse`: false, for the device. */
  releaseBuffer(buffer: DeviceBuffer, reuse = true): void {
    const own = this.#own.get(buffer);
    if (own === undefined) return;
    this.numBytesUsed -= own.bytes;
    if (reuse) this.#keep(buffer, own);
    else {
      this.#own.delete(buffer);
      this.numBytesAllocated -= own.bytes;
      buffer.destroy();
    }
  }

  #keep(buffer: DeviceBuffer, { kind, number }: Own): void {
    let free = this.#free.get(kind);
    if (free === undefined) this.#free.set(kind, (free = []));
    let at = free.length;
    while (at > 0 && (this.#own.get(free[at - 1] as DeviceBuffer)?.number ?? 0) < number) at--;
    free.splice(at, 0, buffer);
  }

  /** Gives everything back to the device. */
  dispose(): void {
    for (const buffer of this.#own.keys()) buffer.destroy();
    this.#own.clear();
    this.#free.clear();
    this.numBytesUsed = this.numBytesAllocated = 0;
  }
}

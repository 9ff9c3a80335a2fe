import type { Device, DeviceBuffer } from "./dawn.ts";

/** Of memory: how much may be taken from the device for each byte of the most that was in use, and beside that. Steps of one shape need none of it. */
const SPARE = 2;
const BESIDE = 2 ** 28;

interface Free {
  /** The oldest at the end. */
  readonly buffers: DeviceBuffer[];
  /** When a buffer of this kind was last wanted. */
  wanted: number;
}

interface Own {
  /** In the order of creation. */
  readonly number: number;
  readonly kind: string;
  readonly bytes: number;
}

/**
 * The device's memory in buffers that are used again, in place of tfjs's class of the same face. Of the free buffers of a size the oldest is always taken: what a step gets then
 * depends on which are free alone and not on the order in which they became so, and every step gets the same ones, so that the groups that bind them are made once. Where batches
 * differ in length, free buffers of the sizes that were wanted longest ago go back to the device.
 */
export class DeviceBuffers {
  readonly #device: Device;
  readonly #own = new Map<DeviceBuffer, Own>();
  /** By size and usage. */
  readonly #free = new Map<string, Free>();
  readonly #beside: number;
  #next = 0;
  #clock = 0;
  #mostUsed = 0;
  /** Handed out. */
  numBytesUsed = 0;
  /** Taken from the device, free ones included. */
  numBytesAllocated = 0;

  constructor(device: Device, beside = BESIDE) {
    this.#device = device;
    this.#beside = beside;
  }

  /** A buffer of exactly this size: a free one, with what was last in it, or a new one; `reuse`: false wants a new one. */
  acquireBuffer(bytes: number, usage: number, mappedAtCreation = false, reuse = true): DeviceBuffer {
    const kind = `${bytes}_${usage}`;
    const free = this.#free.get(kind);
    if (free !== undefined) free.wanted = this.#clock++;
    const buffer = (reuse ? free?.buffers.pop() : undefined) ?? this.#created(bytes, usage, mappedAtCreation, kind);
    this.numBytesUsed += bytes;
    this.#mostUsed = Math.max(this.#mostUsed, this.numBytesUsed);
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
    else this.#destroy(buffer, own);
  }

  #keep(buffer: DeviceBuffer, { kind, number }: Own): void {
    let free = this.#free.get(kind);
    if (free === undefined) this.#free.set(kind, (free = { buffers: [], wanted: this.#clock++ }));
    const { buffers } = free;
    let at = buffers.length;
    while (at > 0 && (this.#own.get(buffers[at - 1] as DeviceBuffer)?.number ?? 0) < number) at--;
    buffers.splice(at, 0, buffer);
  }

  #destroy(buffer: DeviceBuffer, { bytes }: Own): void {
    this.#own.delete(buffer);
    this.numBytesAllocated -= bytes;
    buffer.destroy();
  }

  /** Gives free buffers back to the device as far as there are too many. To be called where nothing is recorded that is not submitted: it may use them. */
  trim(): void {
    const most = SPARE * this.#mostUsed + this.#beside;
    if (this.numBytesAllocated <= most) return;
    for (const [kind, { buffers }] of [...this.#free].sort(([, a], [, b]) => a.wanted - b.wanted)) {
      for (const buffer of buffers) this.#destroy(buffer, this.#own.get(buffer) as Own);
      this.#free.delete(kind);
      if (this.numBytesAllocated <= most) return;
    }
  }

  /** Gives everything back to the device. */
  dispose(): void {
    for (const buffer of this.#own.keys()) buffer.destroy();
    this.#own.clear();
    this.#free.clear();
    this.numBytesUsed = this.numBytesAllocated = 0;
  }
}

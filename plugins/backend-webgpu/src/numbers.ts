import type { Device, DeviceBuffer } from "./dawn.ts";

// Numbers of the WebGPU standard: GPUBufferUsage.
const COPY_DST = 8;
const UNIFORM = 64;

/** The numbers of a launch by name. `integers` go into the program as u32, `floats` as f32; both keep the order in which they are given. */
export interface LaunchNumbers {
  readonly integers?: Readonly<Record<string, number>>;
  readonly floats?: Readonly<Record<string, number>>;
}

/** What one buffer holds: more than any program declares. */
const BYTES = 128;
/** More than the launches that wait to be submitted, so that what is written over has been read. */
const CAPACITY = 1024;

/**
 * The numbers of launches in uniform buffers. A buffer is made and written once for each set of numbers, and is used by all launches that have them: the shapes of a
 * step are the same in the next one. Beyond its capacity the buffer that has rested longest is written over, which the queue does after the launches before it.
 */
export class NumberBuffers {
  readonly #device: Device;
  readonly #capacity: number;
  readonly #buffers = new Map<string, DeviceBuffer>();

  constructor(device: Device, capacity = CAPACITY) {
    this.#device = device;
    this.#capacity = capacity;
  }

  /** The buffer with these numbers. */
  of(numbers: LaunchNumbers): DeviceBuffer {
    const key = keyOf(numbers);
    const known = this.#buffers.get(key);
    const buffer = known ?? this.#written(numbers);
    if (known !== undefined) this.#buffers.delete(key); // put at the end: the order is that of the last use
    this.#buffers.set(key, buffer);
    return buffer;
  }

  #written(numbers: LaunchNumbers): DeviceBuffer {
    const buffer = this.#rested() ?? this.#device.createBuffer({ size: BYTES, usage: UNIFORM | COPY_DST });
    this.#device.queue.writeBuffer(buffer, 0, bytesOf(numbers));
    return buffer;
  }

  #rested(): DeviceBuffer | undefined {
    if (this.#buffers.size < this.#capacity) return undefined;
    const [key, buffer] = this.#buffers.entries().next().value as [string, DeviceBuffer];
    this.#buffers.delete(key);
    return buffer;
  }
}

function keyOf({ integers, floats }: LaunchNumbers): string {
  let key = "";
  for (const name in integers) key += `${integers[name]},`;
  key += "|";
  for (const name in floats) key += `${Object.is(floats[name], -0) ? "-0" : floats[name]},`;
  return key;
}

function bytesOf({ integers = {}, floats = {} }: LaunchNumbers): ArrayBuffer {
  const bytes = new ArrayBuffer(BYTES);
  const whole = Object.values(integers);
  new Uint32Array(bytes).set(whole.map((value) => value >>> 0));
  new Float32Array(bytes).set(Object.values(floats), whole.length);
  return bytes;
}

/** The declaration of these numbers in WGSL; empty where there are none. */
export function declaredNumbers({ integers = {}, floats = {} }: LaunchNumbers): string {
  const fields = [...Object.keys(integers).map((name) => `${name} : u32,`), ...Object.keys(floats).map((name) => `${name} : f32,`)];
  return `struct Numbers { ${fields.join(" ")} }`;
}

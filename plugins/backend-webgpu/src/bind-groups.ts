import type { BindGroup, BindGroupLayout, Device, DeviceBuffer } from "./dawn.ts";

/** Some dozens of the largest steps. */
const CAPACITY = 16384;

/**
 * Bind groups by their buffers: making one costs the host more than all the rest of a launch. tfjs hands freed buffers out again in the order of a step's own allocations, so
 * that a step mostly binds what one before it has bound.
 */
export class BindGroups {
  readonly #device: Device;
  readonly #capacity: number;
  readonly #groups = new Map<string, BindGroup>();
  readonly #numbers = new WeakMap<object, number>();
  #next = 0;
  #made = 0;

  constructor(device: Device, capacity = CAPACITY) {
    this.#device = device;
    this.#capacity = capacity;
  }

  /** Groups made so far. */
  get made(): number {
    return this.#made;
  }

  /** The group that binds these buffers, in this order, to a layout. */
  of(layout: BindGroupLayout, buffers: readonly DeviceBuffer[]): BindGroup {
    let key = `${this.#number(layout)}`;
    for (const buffer of buffers) key += `,${this.#number(buffer)}`;
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    if (this.#groups.size >= this.#capacity) this.#groups.delete(this.#groups.keys().next().value as string);
    this.#made++;
    const group = this.#device.createBindGroup({ layout, entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })) });
    this.#groups.set(key, group);
    return group;
  }

  #number(of: object): number {
    let number = this.#numbers.get(of);
    if (number === undefined) this.#numbers.set(of, (number = this.#next++));
    return number;
  }
}

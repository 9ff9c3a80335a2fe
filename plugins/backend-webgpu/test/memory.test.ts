import { describe, expect, test } from "vitest";
import { BindGroups } from "../src/bind-groups.ts";
import type { Device, DeviceBuffer } from "../src/dawn.ts";
import { DeviceBuffers } from "../src/device-buffers.ts";
import { declaredNumbers, NumberBuffers } from "../src/numbers.ts";

interface Fake extends DeviceBuffer {
  destroyed: boolean;
  written: ArrayBuffer | undefined;
}

/** A device that remembers what it was asked for. */
function fakeDevice(): { readonly device: Device; readonly buffers: Fake[]; groups: number } {
  const buffers: Fake[] = [];
  const made = { device: undefined as unknown as Device, buffers, groups: 0 };
  made.device = {
    queue: { writeBuffer: (buffer: DeviceBuffer, _byte: number, data: ArrayBuffer) => void ((buffer as Fake).written = data) },
    createBuffer: ({ size }: { size: number }) => {
      const buffer = { size, destroyed: false, destroy: () => void (buffer.destroyed = true) } as Fake;
      buffers.push(buffer);
      return buffer;
    },
    createBindGroup: () => ({ number: made.groups++ }),
  } as Partial<Device> as Device;
  return made;
}

describe("numbers", () => {
  test("the same numbers have one buffer, others have another", () => {
    const { device, buffers } = fakeDevice();
    const numbers = new NumberBuffers(device);
    const first = numbers.of({ integers: { rows: 3 }, floats: { epsilon: 0.5 } });
    expect(numbers.of({ integers: { rows: 3 }, floats: { epsilon: 0.5 } })).toBe(first);
    expect(numbers.of({ integers: { rows: 3 }, floats: { epsilon: 0.25 } })).not.toBe(first);
    expect(numbers.of({ floats: { rows: 3, epsilon: 0.5 } })).not.toBe(first);
    expect(new Uint32Array(buffers[0]!.written!)[0]).toBe(3);
    expect(new Float32Array(buffers[0]!.written!)[1]).toBe(0.5);
  });

  test("a negative integer has its 32 bits, and both kinds are declared in their order", () => {
    const { device, buffers } = fakeDevice();
    new NumberBuffers(device).of({ integers: { ignored: -100 } });
    expect(new Int32Array(buffers[0]!.written!)[0]).toBe(-100);
    expect(declaredNumbers({ integers: { rows: 3 }, floats: { epsilon: 0.5 } })).toBe("struct Numbers { rows : u32, epsilon : f32, }");
  });

  test("beyond the capacity the buffer that has rested longest is written over", () => {
    const { device, buffers } = fakeDevice();
    const numbers = new NumberBuffers(device, 2);
    const [a, b] = [numbers.of({ integers: { n: 1 } }), numbers.of({ integers: { n: 2 } })];
    numbers.of({ integers: { n: 1 } });
    expect(numbers.of({ integers: { n: 3 } })).toBe(b);
    expect(numbers.of({ integers: { n: 1 } })).toBe(a);
    expect(buffers.length).toBe(2);
    expect(new Uint32Array(buffers[1]!.written!)[0]).toBe(3);
  });
});

describe("bind groups", () => {
  test("buffers in the same order have one group for a layout", () => {
    const fake = fakeDevice();
    const groups = new BindGroups(fake.device, 2);
    const [a, b] = [1, 2].map((size) => fake.device.createBuffer({ size, usage: 0 })) as [DeviceBuffer, DeviceBuffer];
    const [layout, other] = [{}, {}];
    const first = groups.of(layout, [a, b]);
    expect(groups.of(layout, [a, b])).toBe(first);
    expect(groups.of(other, [a, b])).not.toBe(first);
    expect(groups.of(layout, [b, a])).not.toBe(first); // the third: the first is given up
    expect(groups.of(layout, [a, b])).not.toBe(first);
    expect(groups.made).toBe(fake.groups);
  });
});

describe("device memory", () => {
  test("the oldest of the free buffers of a size is taken, in whatever order they were freed", () => {
    const buffers = new DeviceBuffers(fakeDevice().device);
    const [a, b, c] = [1, 2, 3].map(() => buffers.acquireBuffer(16, 1)) as [DeviceBuffer, DeviceBuffer, DeviceBuffer];
    for (const order of [[a, b, c], [c, a, b], [b, c, a]]) {
      for (const buffer of order) buffers.releaseBuffer(buffer);
      expect([1, 2, 3].map(() => buffers.acquireBuffer(16, 1))).toEqual([a, b, c]);
      expect(buffers.acquireBuffer(16, 1)).not.toBe(a);
    }
  });

  test("size and usage keep buffers apart, and bytes are counted", () => {
    const fake = fakeDevice();
    const buffers = new DeviceBuffers(fake.device);
    const a = buffers.acquireBuffer(16, 1);
    buffers.releaseBuffer(a);
    expect(buffers.acquireBuffer(16, 2)).not.toBe(a);
    expect(buffers.acquireBuffer(20, 1)).not.toBe(a);
    expect(buffers.acquireBuffer(16, 1, false, false)).not.toBe(a);
    expect([buffers.numBytesUsed, buffers.numBytesAllocated]).toEqual([52, 68]);
    buffers.releaseBuffer(fake.buffers[1]!, false);
    expect(fake.buffers[1]!.destroyed).toBe(true);
    expect([buffers.numBytesUsed, buffers.numBytesAllocated]).toEqual([36, 52]);
    buffers.dispose();
    expect(fake.buffers.every(({ destroyed }) => destroyed)).toBe(true);
  });

  test("free buffers beyond twice the most that was in use go back, those wanted longest ago first", () => {
    const fake = fakeDevice();
    const buffers = new DeviceBuffers(fake.device, 10);
    const once = (bytes: number): void => {
      buffers.releaseBuffer(buffers.acquireBuffer(bytes, 1));
      buffers.trim();
    };
    for (const bytes of [100, 90, 20]) once(bytes); // 210 are allowed
    expect(buffers.numBytesAllocated).toBe(210);
    once(100);
    once(30);
    expect(fake.buffers.map(({ size, destroyed }) => [size, destroyed])).toEqual([[100, false], [90, true], [20, false], [30, false]]);
    expect(buffers.numBytesAllocated).toBe(150);
    expect(buffers.acquireBuffer(90, 1)).not.toBe(fake.buffers[1]);
  });
});

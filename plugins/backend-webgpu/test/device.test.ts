import { expect, test } from "vitest";
import type { Adapter, AdapterInfo, DawnPackage, Device } from "../src/dawn.ts";
import { openDevice } from "../src/device.ts";

const info: AdapterInfo = { vendor: "acme", architecture: "mark 1", device: "Acme 1", description: "driver 2.0", isFallbackAdapter: false };
const device = { lost: new Promise(() => undefined), addEventListener: () => undefined, destroy: () => undefined } as Partial<Device> as Device;

function dawn(adapter: Partial<Adapter> | null, asked: unknown[] = []): DawnPackage {
  const whole = adapter && { info, features: new Set<string>(), limits: {}, requestDevice: (descriptor: unknown) => (asked.push(descriptor), Promise.resolve(device)), ...adapter };
  return { create: () => ({ requestAdapter: (options) => (asked.push(options), Promise.resolve(whole)) }), globals: {} };
}

test("asks for the adapter's own limits, and for the faster GPU", async () => {
  const asked: unknown[] = [];
  const open = await openDevice(dawn({ limits: { maxBufferSize: 7 }, features: new Set(["timestamp-query", "other"]) }, asked), {});
  expect(open.device).toBe(device);
  expect(asked[0]).toEqual({ powerPreference: "high-performance" });
  expect(asked[1]).toMatchObject({ requiredFeatures: ["timestamp-query"], requiredLimits: { maxBufferSize: 7 } });
});

test("says how to get an adapter", async () => {
  await expect(openDevice(dawn(null), {})).rejects.toMatchObject({ code: "backend.adapter", message: expect.stringMatching(/found none\..*apt-get install/) as unknown });
});

test("takes a software adapter only when asked to", async () => {
  const software = { info: { ...info, isFallbackAdapter: true } };
  await expect(openDevice(dawn(software), {})).rejects.toMatchObject({ code: "backend.adapter", message: expect.stringContaining("software adapter Acme 1, driver 2.0") as unknown });
  expect((await openDevice(dawn(software), { software: true })).device).toBe(device);
});

test("names the adapter that gives no device", async () => {
  const broken = { requestDevice: () => Promise.reject(new Error("out of memory")) };
  await expect(openDevice(dawn(broken), {})).rejects.toMatchObject({ code: "backend.device", message: expect.stringMatching(/Acme 1.*out of memory/) as unknown });
});

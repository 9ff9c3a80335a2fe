import { expect, test } from "vitest";
import { EventPump } from "../src/event-pump.ts";

/** Works as Dawn's addon does: a task in `setImmediate` that comes back until the work is done. */
function worker(ticks: number): { begin(): void; readonly left: number } {
  let left = ticks;
  const tick = (): void => {
    left--;
    if (left > 0) setImmediate(tick);
  };
  return {
    begin: () => void setImmediate(tick),
    get left() {
      return left;
    },
  };
}

const eventLoop = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

test("lets the work be done while the thread waits, and leaves setImmediate as it was", () => {
  const before = globalThis.setImmediate;
  const pump = new EventPump();
  const work = worker(5);
  pump.within(() => work.begin());
  expect(work.left).toBe(5);
  expect(pump.waitUntil(() => work.left === 0)).toBe(true);
  expect(globalThis.setImmediate).toBe(before);
});

test("leaves work that nobody waits for to the event loop", async () => {
  const pump = new EventPump();
  const work = worker(3);
  pump.within(() => work.begin());
  await eventLoop();
  expect(work.left).toBe(0);
});

test("waits for work that the event loop has begun", async () => {
  const pump = new EventPump();
  const work = worker(1000);
  pump.within(() => work.begin());
  await new Promise((resolve) => setImmediate(resolve));
  expect(work.left).toBeGreaterThan(0);
  expect(pump.waitUntil(() => work.left === 0)).toBe(true);
  await eventLoop();
  expect(work.left).toBe(0);
});

test("gives up when nothing is left to be done", () => {
  const pump = new EventPump();
  const work = worker(2);
  pump.within(() => work.begin());
  expect(pump.waitUntil(() => false)).toBe(false);
});

test("puts setImmediate back when the call throws", () => {
  const before = globalThis.setImmediate;
  expect(() => new EventPump().within(() => { throw new Error("no"); })).toThrow("no");
  expect(globalThis.setImmediate).toBe(before);
});

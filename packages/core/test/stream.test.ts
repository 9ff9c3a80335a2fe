import { config } from "rxjs";
import { afterEach, expect, it } from "vitest";
import { RunStream, type RunEvent } from "../src/index.ts";

afterEach(() => expect(config.onUnhandledError).toBeNull());

const warn = (stream: RunStream, message: string): void => stream.warn(message);
const messages = (events: readonly RunEvent[]): string[] => events.flatMap((event) => (event.type === "warning" ? [event.message] : []));

function recorded(): { stream: RunStream; events: RunEvent[] } {
  const stream = new RunStream();
  const events: RunEvent[] = [];
  stream.events.subscribe((event) => events.push(event));
  return { stream, events };
}

it("tells a run of its subscribers' errors, the last event's too, once for each message", async () => {
  const { stream, events } = recorded();
  stream.events.subscribe(() => { throw new Error("always"); });
  stream.events.subscribe((event) => { if (event.type === "warning" && event.message === "last") throw new Error("at the last"); });
  await stream.guard(async () => {
    warn(stream, "first");
    await Promise.resolve();
    warn(stream, "last");
  });
  expect(messages(events)).toEqual(["first", "last", "a subscriber threw: always", "a subscriber threw: at the last"]);
});

it("gives rxjs's handler back in whatever order runs end, also when one fails", async () => {
  const [a, b] = [recorded(), recorded()];
  b.stream.events.subscribe(() => { throw new Error("late"); });
  let end: () => void = () => undefined;
  const first = a.stream.guard(() => new Promise<void>((resolve) => (end = resolve)));
  const second = b.stream.guard(async () => {
    end();
    await first;
    warn(b.stream, "still at work");
    throw new Error("failed");
  });
  await expect(second).rejects.toThrow("failed");
  expect([messages(a.events), messages(b.events)]).toEqual([[], ["still at work", "a subscriber threw: late"]]);
});

it("lets events hold typed arrays", () => {
  const { stream, events } = recorded();
  stream.emit({ type: "evaluation.completed", time: 0, step: 0, split: "dev", examples: 1, metrics: {}, reports: { meter: { counts: Float64Array.of(1) } } });
  expect(events).toHaveLength(1);
});

import { createReadStream, existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { RunEvent } from "@deft-js/core";
import { z } from "zod";
import { EVENTS_FILE } from "./folder.ts";

/** JSON has no NaN: it was written as null. */
const number = z.number().nullable().transform((value) => value ?? NaN);
const numbers = z.record(z.string(), number);
const time = z.number();
const count = z.int().min(0);

const event = z.discriminatedUnion("type", [
  z.object({ type: z.literal("run.started"), time, seed: z.number(), backend: z.string(), folder: z.string().optional(), versions: z.record(z.string(), z.string()).optional() }),
  z.object({ type: z.literal("stage.started"), time, stage: z.string(), index: count, of: count }),
  z.object({
    type: z.literal("training.started"), time, totalSteps: count, epochs: z.number(), trainableParameters: count, totalParameters: count,
    trainable: z.array(z.object({ path: z.string(), shape: z.array(count) })),
  }),
  z.object({ type: z.literal("epoch.started"), time, epoch: count, epochs: z.number() }),
  z.object({
    type: z.literal("step.completed"), time, step: count, totalSteps: count, epoch: z.number(), learningRate: number, loss: number, terms: numbers, weights: numbers,
    gradientNorm: number, tokens: number, milliseconds: number, tensors: number,
  }),
  z.object({
    type: z.literal("evaluation.completed"), time, step: count, split: z.string(), examples: count, metrics: numbers,
    reports: z.record(z.string(), z.record(z.string(), z.unknown())),
  }),
  z.object({ type: z.literal("checkpoint.saved"), time, step: count, path: z.string(), kind: z.enum(["last", "best"]) }),
  z.object({ type: z.literal("warning"), time, message: z.string() }),
  z.object({ type: z.literal("stage.completed"), time, stage: z.string(), index: count, metrics: z.unknown() }),
  z.object({ type: z.literal("run.completed"), time, metrics: z.unknown() }),
  z.object({ type: z.literal("run.failed"), time, code: z.string(), message: z.string() }),
]) satisfies z.ZodType<RunEvent>;

/**
 * The events that a run's folder has recorded, in their order; none when there is no such file. Lines that hold no event (the last may be cut by a crash) are
 * left out, and a warning at the end says how many.
 */
export async function readEvents(folder: string): Promise<readonly RunEvent[]> {
  const file = join(folder, EVENTS_FILE);
  if (!existsSync(file)) return [];
  const events: RunEvent[] = [];
  let unread = 0;
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
    if (line.trim() === "") continue;
    const read = eventOf(line);
    if (read === undefined) unread++;
    else events.push(read);
  }
  if (unread > 0) events.push({ type: "warning", time: events.at(-1)?.time ?? 0, message: `${EVENTS_FILE}: ${unread} ${unread === 1 ? "line" : "lines"} could not be read` });
  return events;
}

function eventOf(line: string): RunEvent | undefined {
  try {
    return event.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}

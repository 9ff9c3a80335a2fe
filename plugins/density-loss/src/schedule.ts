import { z } from "zod";
import type { Progress } from "@deft-js/core";

const fraction = z.number().min(0).max(1);

/** The schema of a scheduled number; `bound` is the schema of its values. */
export function scheduleSchema(bound: z.ZodNumber) {
  return z.union([
    bound,
    z.strictObject({ kind: z.literal("constant"), value: bound }),
    z.strictObject({
      kind: z.enum(["linear", "cosine"]).describe("from → to along a line or half a cosine"),
      from: bound, to: bound,
      start: fraction.default(0).describe("share of the run before the change begins"),
      end: fraction.default(1).describe("share of the run after which the change is done"),
    }).refine(isOrdered, "start must be below end"),
    z.strictObject({
      kind: z.literal("geometric").describe("from → to by equal factors"),
      from: bound.positive(), to: bound.positive(), start: fraction.default(0), end: fraction.default(1),
    }).refine(isOrdered, "start must be below end"),
  ]);
}

/** A number that may change over a run. */
export type Schedule = z.output<ReturnType<typeof scheduleSchema>>;
/** The same as a caller gives it. */
export type ScheduleSettings = z.input<ReturnType<typeof scheduleSchema>>;

/**
 * The value at a step: with t = step/(totalSteps − 1) and u = clamp((t − start)/(end − start)), linear from + (to − from)·u,
 * cosine from + (to − from)·(1 − cos πu)/2, geometric from·(to/from)ᵘ. The last step of a run has t = 1.
 */
export function valueAt(schedule: Schedule, { step, totalSteps }: Progress): number {
  if (typeof schedule === "number") return schedule;
  if (schedule.kind === "constant") return schedule.value;
  const { kind, from, to, start, end } = schedule;
  const t = totalSteps <= 1 ? 0 : step / (totalSteps - 1);
  const u = Math.min(1, Math.max(0, (t - start) / (end - start)));
  if (u === 1) return to;
  if (kind === "geometric") return from * (to / from) ** u;
  return from + (to - from) * (kind === "linear" ? u : (1 - Math.cos(Math.PI * u)) / 2);
}

function isOrdered({ start, end }: { readonly start: number; readonly end: number }): boolean {
  return start < end;
}

import { DeftError } from "@deft-js/tensor";

/** How the learning rate goes after the warm-up. */
export type ScheduleKind = "linear" | "constant" | "cosine";

/** A learning-rate schedule over a run whose length is known. */
export interface Schedule {
  readonly kind: ScheduleKind;
  /** w, steps of linear warm-up; may be a fraction, as the reference's 0.06·T. */
  readonly warmupSteps: number;
  /** T, optimizer steps of the run. */
  readonly totalSteps: number;
}

/**
 * The factor of the learning rate at step s, counted from 0: s/max(1, w) while s < w; then (T − s)/max(1, T − w) (linear), 1
 * (constant), or ½(1 + cos π(s − w)/max(1, T − w)) (cosine). The same numbers as Hugging Face's `get_*_schedule_with_warmup`.
 */
export function scheduleFactor({ kind, warmupSteps, totalSteps }: Schedule, step: number): number {
  if (step < warmupSteps) return step / Math.max(1, warmupSteps);
  if (kind === "constant") return 1;
  const span = Math.max(1, totalSteps - warmupSteps);
  if (kind === "linear") return Math.max(0, (totalSteps - step) / span);
  return Math.max(0, 0.5 * (1 + Math.cos((Math.PI * (step - warmupSteps)) / span)));
}

/** Warm-up as a number of steps or as a share of the run; at most one of the two. */
export interface Warmup {
  readonly warmupSteps?: number | undefined;
  /** w/T. */
  readonly warmupRatio?: number | undefined;
}

/** Checks a warm-up. Throws `optimizer.options` when both forms are given or one is out of range. */
export function checkWarmup({ warmupSteps, warmupRatio }: Warmup): void {
  if (warmupSteps !== undefined && warmupRatio !== undefined)
    throw new DeftError("optimizer.options", `schedule: takes warmupSteps or warmupRatio, got ${warmupSteps} and ${warmupRatio}. Leave one out.`);
  if (warmupSteps !== undefined && !(warmupSteps >= 0 && Number.isFinite(warmupSteps)))
    throw new DeftError("optimizer.options", `schedule: warmupSteps must be a finite number from 0, got ${warmupSteps}. Correct it.`);
  if (warmupRatio !== undefined && !(warmupRatio >= 0 && warmupRatio <= 1))
    throw new DeftError("optimizer.options", `schedule: warmupRatio must lie in [0, 1], got ${warmupRatio}. Correct it.`);
}

/** w for a run of T steps: `warmupSteps`, or warmupRatio·T unrounded, or 0. */
export function warmupStepsOf({ warmupSteps, warmupRatio }: Warmup, totalSteps: number): number {
  return warmupSteps ?? (warmupRatio ?? 0) * totalSteps;
}

import type { StepCompleted } from "@deft-js/core";
import { clock, magnitude, short } from "../tables/numbers.ts";
import type { Throughput } from "./throughput.ts";

/** One line about a step: step/total, loss, the terms beside the task's, tokens per second, time left. */
export function stepLine(step: StepCompleted, throughput: Throughput): string {
  const terms = Object.entries(step.terms).filter(([name]) => name !== "task");
  const speed = throughput.tokensPerSecond;
  const left = throughput.timeFor(step.totalSteps - step.step);
  return [
    `step ${step.step}/${step.totalSteps}`,
    `loss ${short(step.loss)}`,
    ...terms.map(([name, value]) => `${name} ${short(value)}`),
    ...(speed === undefined ? [] : [`${magnitude(speed)} tokens/s`]),
    ...(left === undefined ? [] : [`${clock(left)} left`]),
  ].join("  ");
}

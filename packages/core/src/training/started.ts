import type { Variable } from "@deft-js/tensor";
import type { TrainingStarted } from "../events/events.ts";
import type { Plan, TrainingOptions } from "./options.ts";

/** The event that lists what will be trained, for how long. */
export function trainingStarted({ model, attachments = [] }: TrainingOptions, variables: readonly Variable[], { epochs, totalSteps }: Plan): TrainingStarted {
  const all = new Set([...model.parameters().values(), ...attachments.flatMap((attachment) => attachment.variables), ...variables]);
  return {
    type: "training.started",
    time: Date.now(),
    totalSteps,
    epochs,
    trainable: variables.map(({ path, shape }) => ({ path, shape: [...shape] })),
    trainableParameters: sizeOf(variables),
    totalParameters: sizeOf(all),
  };
}

function sizeOf(variables: Iterable<Variable>): number {
  let size = 0;
  for (const variable of variables) size += variable.size;
  return size;
}

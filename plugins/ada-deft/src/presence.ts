import type { ops, Progress } from "@deft-js/core";

/** Presence of the block that made an activation, at a point of the run: [1]. */
export type Presence = (progress: Progress) => ops.Tensor;

/** By the activation's own tensor, so that a loss finds the gates of the very pass that it is given. */
const presences = new WeakMap<ops.Tensor, readonly Presence[]>();

/** Says that the block which made this activation is gated; several gates around one block multiply. */
export function markGated(activation: ops.Tensor, presence: Presence): void {
  presences.set(activation, [...(presences.get(activation) ?? []), presence]);
}

/** The gates around the block that made this activation; none when it is not gated. */
export function presencesOf(activation: ops.Tensor): readonly Presence[] {
  return presences.get(activation) ?? [];
}

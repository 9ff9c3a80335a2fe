import type { Backend } from "@deft-js/core";
import { tf, useBackend } from "@deft-js/tensor";

/** tfjs's plain JavaScript back-end: slow, and always there. */
export function cpuBackend(): Backend {
  return { id: "cpu", rank: 0, start, status: () => ({ threads: 1 }) };
}

async function start(): Promise<void> {
  await useBackend("cpu");
  // It greets with an advertisement at its first use in Node.
  (tf.backend() as unknown as { firstUse: boolean }).firstUse = false;
}

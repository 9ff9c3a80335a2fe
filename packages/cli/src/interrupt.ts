import { EXIT_CODES } from "./exit-codes.ts";
import type { Terminal } from "./terminal.ts";

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

/** What listens to interrupts: the process, or a stand-in. */
export interface Interruptible {
  on(signal: "SIGINT" | "SIGTERM", listener: () => void): unknown;
  off(signal: "SIGINT" | "SIGTERM", listener: () => void): unknown;
  exit(code: number): unknown;
}

/**
 * Runs work that the first interrupt (SIGINT, SIGTERM) asks to stop, by aborting the signal, and the second ends at once with
 * exit code 130.
 */
export async function interruptible<T>({ work, terminal, source = process }: { readonly work: (signal: AbortSignal) => Promise<T>; readonly terminal: Terminal; readonly source?: Interruptible }): Promise<T> {
  const controller = new AbortController();
  const onSignal = (): void => {
    if (controller.signal.aborted) {
      source.exit(EXIT_CODES.interrupted);
      return;
    }
    terminal.note("\nstopping after this step, with a checkpoint; interrupt again to end at once");
    controller.abort();
  };
  for (const signal of SIGNALS) source.on(signal, onSignal);
  try {
    return await work(controller.signal);
  } finally {
    for (const signal of SIGNALS) source.off(signal, onSignal);
  }
}

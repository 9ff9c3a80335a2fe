import { EXIT_CODES, exitCodeOf } from "./exit-codes.ts";
import { reportFailure } from "./failure.ts";
import type { Terminal } from "./terminal.ts";

/**
 * Ends the process when what was written to both streams has gone out: back-ends may hold threads that would keep it alive.
 * What could not be written is said on standard error, and decides the exit code where nothing else failed. Returns at once.
 */
export function exitWhenFlushed(code: number, terminal: Terminal): void {
  process.exitCode = code;
  process.stdout.write("", () => {
    setImmediate(() => { // a stream's error event comes after the callbacks of its writes
      const { failure } = terminal;
      if (failure !== undefined) reportFailure({ error: failure, terminal, isVerbose: false });
      process.stderr.write("", () => process.exit(code === EXIT_CODES.ok && failure !== undefined ? exitCodeOf(failure) : code));
    });
  });
}

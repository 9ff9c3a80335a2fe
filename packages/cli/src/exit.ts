/**
 * Ends the process when what was written to both streams has gone out: back-ends may hold threads that would keep it alive.
 * Returns at once.
 */
export function exitWhenFlushed(code: number): void {
  process.exitCode = code;
  process.stdout.write("", () => process.stderr.write("", () => process.exit(code)));
}

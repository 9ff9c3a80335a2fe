import { isCodedError } from "./exit-codes.ts";
import { printable } from "./tables/text-table.ts";
import type { Terminal } from "./terminal.ts";

/** Says on standard error what went wrong: `error [code] message`; the stack and its causes only when `isVerbose`. */
export function reportFailure({ error, terminal, isVerbose }: { readonly error: unknown; readonly terminal: Terminal; readonly isVerbose: boolean }): void {
  const code = isCodedError(error) ? error.code : "internal";
  const message = error instanceof Error ? error.message || error.name : String(error);
  terminal.note(`error [${code}] ${message.split("\n").map(printable).join("\n")}`);
  if (isVerbose && error instanceof Error) terminal.note(stackOf(error));
  else if (code === "internal") terminal.note("This should not happen; `--verbose` shows where it did.");
}

function stackOf(error: Error): string {
  const stack = error.stack ?? error.message;
  return error.cause instanceof Error ? `${stack}\ncaused by ${stackOf(error.cause)}` : stack;
}

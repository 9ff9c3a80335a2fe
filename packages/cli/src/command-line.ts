import { CommanderError } from "commander";
import { EXIT_CODES, exitCodeOf } from "./exit-codes.ts";
import { reportFailure } from "./failure.ts";
import { program } from "./program.ts";
import type { RunApi } from "./run-api.ts";
import type { Terminal } from "./terminal.ts";

/** What a call of the command needs. */
export interface CommandLine {
  /** The arguments after the command's name. */
  readonly argv: readonly string[];
  readonly terminal: Terminal;
  /** Loads `@deft-js/run`. */
  readonly api: () => Promise<RunApi>;
}

/** Runs one command line to its end; what an action throws is written to standard error. @returns the exit code */
export async function runCommandLine({ argv, terminal, api }: CommandLine): Promise<number> {
  let code: number = EXIT_CODES.ok;
  const deft = program({ terminal, api, finish: (given) => (code = given) });
  try {
    await deft.parseAsync(argv, { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_CODES.ok : EXIT_CODES.recipe;
    reportFailure({ error, terminal, isVerbose: deft.opts<{ verbose?: boolean }>().verbose === true });
    return exitCodeOf(error);
  }
}

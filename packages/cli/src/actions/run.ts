import { EXIT_CODES, isCodedError } from "../exit-codes.ts";
import { interruptible } from "../interrupt.ts";
import { progressReporter } from "../progress/progress-reporter.ts";
import type { RunApi } from "../run-api.ts";
import { comparisonTable, stageEvaluations, type StageEvaluation } from "../tables/comparison-table.ts";
import { percent, short } from "../tables/numbers.ts";
import type { Terminal } from "../terminal.ts";

/** The options of `deft run` as commander gives them. */
export interface RunOptions {
  readonly set?: string[];
  readonly backend?: string;
  readonly output?: string;
  readonly resume?: boolean;
  readonly quiet?: boolean;
}

/** Runs a recipe, shows how it goes and what came out; @returns the exit code: 130 when the run was interrupted before it was done */
export async function runAction({ api, terminal, file, options }: { readonly api: RunApi; readonly terminal: Terminal; readonly file: string; readonly options: RunOptions }): Promise<number> {
  const { quiet = false, ...rest } = options;
  return interruptible({
    terminal,
    work: async (signal) => {
      try {
        const result = await api.runRecipe({ ...rest, file, reporters: quiet ? [] : [progressReporter(terminal)], signal });
        showResult({ ...result, terminal, quiet });
        return EXIT_CODES.ok;
      } catch (error) {
        if (!isInterruption(error, signal)) throw error;
        terminal.note(error instanceof Error ? error.message : "run: interrupted");
        return EXIT_CODES.interrupted;
      }
    },
  });
}

function isInterruption(error: unknown, signal: AbortSignal): boolean {
  return signal.aborted && (error === signal.reason || (isCodedError(error) && error.code === "run.interrupted"));
}

function showResult({ folder, metrics, terminal, quiet }: { readonly folder: string; readonly metrics: Readonly<Record<string, unknown>>; readonly terminal: Terminal; readonly quiet: boolean }): void {
  const evaluations = stageEvaluations(metrics);
  const last = evaluations.at(-1);
  if (quiet) {
    terminal.line([folder, ...(last === undefined ? [] : valuesOf(last))].join("  "));
    return;
  }
  const table = comparisonTable(evaluations);
  if (table.length > 0) for (const line of ["", ...table, ""]) terminal.line(line);
  else if (last !== undefined) terminal.line([`${last.stage}:`, ...valuesOf(last)].join("  "));
  terminal.line(`results in ${folder}`);
}

function valuesOf({ metrics, density }: StageEvaluation): string[] {
  return [...Object.entries(metrics).map(([name, value]) => `${name} ${short(value)}`), ...(density === undefined ? [] : [`density ${percent(density.exact)} %`])];
}

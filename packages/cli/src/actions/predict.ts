import { EXIT_CODES, usageError } from "../exit-codes.ts";
import type { PredictRequest, RunApi } from "../run-api.ts";
import type { Terminal } from "../terminal.ts";

/** The options of `deft predict` that say what to predict. */
export interface PredictInputs {
  readonly text?: readonly string[];
  readonly pair?: readonly string[];
  readonly data?: string;
  readonly column?: string;
}

/** The texts or the file to predict. Throws `options.usage` unless it is one of them, or when the pairs do not fit the texts. */
export function predictInputs({ text = [], pair = [], data, column }: PredictInputs): Pick<PredictRequest, "texts" | "data" | "column"> {
  if ((text.length > 0) === (data !== undefined)) throw usageError(`predict: needs --text or --data, got ${data === undefined ? "neither" : "both"}. Give one of them.`);
  if (data !== undefined && pair.length > 0) throw usageError(`predict: --pair goes with --text, got it with --data ${data}. Leave it out.`);
  if (data !== undefined) return { data, ...(column === undefined ? {} : { column }) };
  if (column !== undefined) throw usageError(`predict: --column goes with --data, got ${column} without it. Leave it out.`);
  if (pair.length > 0 && pair.length !== text.length) throw usageError(`predict: --pair must be given once for each --text, got ${pair.length} for ${text.length}. Correct them.`);
  return { texts: text.map((one, i) => ({ text: one, ...(pair[i] === undefined ? {} : { pair: pair[i] }) })) };
}

/**
 * Writes each prediction as a line of JSON until there are no more or nobody reads; what a language model generates from a text of the command line is
 * written as it grows where a person reads along. @returns the exit code
 */
export async function predictAction({ api, terminal, request }: { readonly api: RunApi; readonly terminal: Terminal; readonly request: PredictRequest }): Promise<number> {
  const streams = terminal.canRedraw && request.texts !== undefined && (request.beams ?? 1) === 1;
  const onText = streams ? { onText: (piece: string) => terminal.write(piece) } : {};
  for await (const prediction of api.predictTexts({ ...request, ...onText })) {
    if (terminal.isClosed) break;
    if (streams && "generated" in prediction) {
      terminal.line();
      continue;
    }
    terminal.line(JSON.stringify(prediction));
  }
  return EXIT_CODES.ok;
}

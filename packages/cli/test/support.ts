import type { Kernel, RunEvent } from "@deft-js/core";
import { runCommandLine, Terminal, type DensityReport, type OutputStream, type RunApi } from "../src/index.ts";

/** A stream that keeps what is written. */
export class Recorder implements OutputStream {
  text = "";
  readonly isTTY: boolean;
  readonly columns: number;
  #onError: ((error: NodeJS.ErrnoException) => void) | undefined;

  constructor({ isTTY = false, columns = 200 }: { isTTY?: boolean; columns?: number } = {}) {
    this.isTTY = isTTY;
    this.columns = columns;
  }

  write(text: string): void {
    this.text += text;
  }

  on(_event: "error", listener: (error: NodeJS.ErrnoException) => void): void {
    this.#onError = listener;
  }

  fail(code: string): void {
    this.#onError?.(Object.assign(new Error(code), { code }));
  }

  get lines(): string[] {
    return this.text.split("\n").slice(0, -1);
  }
}

export interface Recorded {
  readonly out: Recorder;
  readonly err: Recorder;
  readonly terminal: Terminal;
}

export function recorded(options: { isTTY?: boolean; columns?: number } = {}): Recorded {
  const out = new Recorder(options);
  const err = new Recorder();
  return { out, err, terminal: new Terminal({ out, err }) };
}

export function deftError(code: string, message = "who: rule, got value. Remedy."): Error {
  return Object.assign(new Error(message), { name: "DeftError", code });
}

const refuse = (name: string) => (): never => {
  throw new Error(`${name} was not expected`);
};

/** The command with some of the API's functions in place. */
export async function deft(argv: readonly string[], api: Partial<RunApi> = {}, at: Recorded = recorded()): Promise<{ code: number; out: string; err: string }> {
  const whole: RunApi = {
    runRecipe: refuse("runRecipe"),
    createKernel: refuse("createKernel"),
    backendReport: refuse("backendReport"),
    recipeJsonSchema: refuse("recipeJsonSchema"),
    reportRuns: refuse("reportRuns"),
    benchCheckpoint: refuse("benchCheckpoint"),
    measureDensity: refuse("measureDensity"),
    predictTexts: refuse("predictTexts"),
    inspectFolder: refuse("inspectFolder"),
    convertAdapter: refuse("convertAdapter"),
    exportCheckpoint: refuse("exportCheckpoint"),
    ...api,
  };
  const code = await runCommandLine({ argv, terminal: at.terminal, api: () => Promise.resolve(whole) });
  return { code, out: at.out.text, err: at.err.text };
}

export const noKernel = (): Promise<Kernel> => Promise.resolve({} as Kernel);

export function shares(exact: number, padded: number): { exact: number; exactIncludingPadding: number; thresholded: { threshold: number; share: number; shareIncludingPadding: number }[] } {
  return { exact, exactIncludingPadding: padded, thresholded: [{ threshold: 0.01, share: exact / 2, shareIncludingPadding: padded / 2 }] };
}

/** Two layers with densities 0.1 and 0.3. */
export const report: DensityReport = {
  examples: 4,
  layers: [
    { stack: "encoder", layer: 0, ...shares(0.1, 0.2) },
    { stack: "encoder", layer: 1, ...shares(0.3, 0.4) },
  ],
  encoder: shares(0.2, 0.3),
  decoder: null,
  padding: { positions: 200, padded: 50 },
};

export function step(given: { step: number; time: number; totalSteps?: number }): RunEvent {
  return { type: "step.completed", totalSteps: 100, epoch: 0, learningRate: 1e-3, loss: 0.75, terms: { task: 0.5, density: 0.25 }, weights: { task: 1, density: 1 }, gradientNorm: 1, tokens: 3000, milliseconds: 500, tensors: 10, ...given };
}

export const evaluation = { type: "evaluation.completed", time: 1, step: 10, split: "dev", examples: 4, metrics: { accuracy: 0.75, loss: 0.5 }, reports: { density: report as unknown as Record<string, unknown> } } as const satisfies RunEvent;

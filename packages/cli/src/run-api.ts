import type { Kernel, Reporter } from "@deft-js/core";
import type { DensityReport } from "./tables/density-table.ts";

/** A run as `deft run` asks for it. */
export interface RunRequest {
  readonly file: string;
  readonly set?: string[];
  readonly backend?: string;
  readonly output?: string;
  readonly resume?: boolean;
  readonly reporters?: Reporter[];
  /** Aborting stops the run after the step that it is in, with a checkpoint. */
  readonly signal?: AbortSignal;
}

/** What a model is to be measured on. */
export interface DensityRequest {
  readonly checkpoint: string;
  readonly adapter?: string;
  readonly data: string;
  readonly column?: string;
  readonly backend?: string;
  readonly maxLength?: number;
  readonly batchSize?: number;
  readonly limit?: number;
  readonly offline?: boolean;
}

/** What a model is to predict. */
export interface PredictRequest {
  readonly checkpoint: string;
  readonly adapter?: string;
  readonly texts?: readonly { text: string; pair?: string }[];
  readonly data?: string;
  readonly column?: string;
  readonly backend?: string;
  readonly maxLength?: number;
  readonly batchSize?: number;
}

/** Whether a back-end starts on this machine. */
export interface BackendReport {
  readonly id: string;
  readonly rank: number;
  readonly starts: boolean;
  readonly why?: string | undefined;
  readonly status?: Readonly<Record<string, string | number | boolean>> | undefined;
}

/** What the command uses of `@deft-js/run`: loaded when an action needs it, never by `deft --help`. */
export interface RunApi {
  runRecipe(request: RunRequest): Promise<{ readonly folder: string; readonly metrics: Readonly<Record<string, unknown>> }>;
  createKernel(options: { plugins?: readonly string[]; from: string }): Promise<Kernel>;
  backendReport(kernel: Kernel): Promise<readonly BackendReport[]>;
  recipeJsonSchema(kernel: Kernel): unknown;
  measureDensity(request: DensityRequest): Promise<DensityReport>;
  predictTexts(request: PredictRequest): AsyncIterable<{ readonly text: string; readonly label: string; readonly probabilities: Readonly<Record<string, number>> }>;
}

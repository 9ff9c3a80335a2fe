import type { Kernel, Reporter } from "@deft-js/core";
import type { BenchReport } from "./tables/bench-table.ts";
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
  /** `none`: texts go to a language model as they stand, not as the adapter's task put them. */
  readonly prompt?: "task" | "none";
}

/** What a model is to predict. */
export interface PredictRequest {
  readonly checkpoint: string;
  readonly adapter?: string;
  readonly texts?: readonly { text: string; pair?: string }[];
  readonly data?: string;
  readonly column?: string;
  readonly backend?: string;
  readonly offline?: boolean;
  /** The id of an execution: `sparse`. */
  readonly execution?: string;
  readonly maxLength?: number;
  readonly batchSize?: number;
  /** Most tokens that a language model generates. */
  readonly maxNewTokens?: number;
  readonly beams?: number;
  /** `none`: texts go to a language model as they stand, not as the adapter's task put them. */
  readonly prompt?: "task" | "none";
  /** Takes the text of one row as it grows, for a person to read. */
  readonly onText?: (piece: string) => void;
}

/** What is to be timed. */
export interface BenchRequest {
  readonly checkpoint: string;
  readonly adapter?: string;
  readonly backend?: string;
  readonly offline?: boolean;
  /** Rows of a batch: one measurement each. */
  readonly batches?: readonly number[];
  /** Tokens of a row. */
  readonly seq?: number;
  /** Tokens that a language model generates. */
  readonly tokens?: number;
  /** Repetitions; the shortest counts. */
  readonly iters?: number;
  /** What quality is measured on: `adapter`, `glue:sst2:PATH`, or as in recipes. */
  readonly task?: string;
  /** Rows of its evaluation split at most. */
  readonly limit?: number;
  /** Whether a forward pass is timed by kernel as well. */
  readonly profile?: boolean;
}

/** Runs that are to be reported, side by side. */
export interface ReportRequest {
  /** Run folders. */
  readonly folders: readonly string[];
  /** `report.html` in the folder of a single run, in the working directory otherwise, when left out. */
  readonly file?: string;
}

/** An adapter folder that is to be written in another layout. */
export interface ConvertRequest {
  readonly input: string;
  readonly output: string;
  readonly layout: "peft" | "adapterhub" | "deft";
  readonly model?: string;
  readonly name?: string;
  readonly backend?: string;
  readonly offline?: boolean;
}

/** A checkpoint that is to be written anew. */
export interface ExportRequest {
  readonly checkpoint: string;
  readonly output: string;
  readonly adapter?: string;
  readonly layout?: "peft" | "adapterhub" | "deft";
  readonly merge?: boolean;
  readonly base?: "dense" | "held";
  readonly name?: string;
  readonly backend?: string;
  readonly offline?: boolean;
}

/** What lies in a folder. */
export interface FolderReport {
  readonly kind: "adapter" | "model";
  readonly path: string;
  readonly layout?: string | undefined;
  readonly method?: { readonly id: string; readonly options: Readonly<Record<string, unknown>> } | undefined;
  readonly base?: string | undefined;
  readonly modelType?: string | undefined;
  readonly architectures?: readonly string[] | undefined;
  readonly tensors: readonly { readonly name: string; readonly shape: readonly number[] }[];
  readonly parameters: number;
  readonly head?: { readonly kind?: string | undefined; readonly parameters: number } | undefined;
  readonly labels?: readonly string[] | number | undefined;
  readonly unknownKeys?: readonly string[] | undefined;
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
  inspectFolder(path: string): Promise<readonly FolderReport[]>;
  convertAdapter(request: ConvertRequest): Promise<void>;
  /** @returns how far merged matrices moved by being encoded again, where they were: the largest and the root mean square difference */
  exportCheckpoint(request: ExportRequest): Promise<{ readonly drift?: { readonly layers: number; readonly max: number; readonly rms: number } | undefined }>;
  /** @returns the file that was written */
  reportRuns(request: ReportRequest): Promise<string>;
  benchCheckpoint(request: BenchRequest): Promise<BenchReport>;
  measureDensity(request: DensityRequest): Promise<DensityReport>;
  predictTexts(request: PredictRequest): AsyncIterable<{ readonly text: string; readonly label: string; readonly probabilities: Readonly<Record<string, number>> } | { readonly text: string; readonly generated: string }>;
}

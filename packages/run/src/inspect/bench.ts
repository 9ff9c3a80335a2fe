import { fork } from "node:child_process";
import { extname } from "node:path";
import { DeftError, EXECUTION, WEIGHT_FORMAT, type ExtensionPoint, type Kernel } from "@deft-js/core";
import type { BenchMessage } from "./bench-process.ts";
import type { BenchSettings, BenchTime, BenchVariant, VariantMeasurement } from "./bench-variant.ts";
import { benchTask, comparedQuality, namedTask } from "./bench-quality.ts";
import { hasPlan, kernelFor, trainedTask, type CheckpointRequest } from "./checkpoint.ts";
import { chosen } from "../recipe/choice.ts";

/** What is to be timed, and how; the settings' defaults: batches 1, 8 and 32, 128 and 32 tokens, 7 repetitions. */
export interface BenchRequest extends Omit<CheckpointRequest, "kernel" | "weights" | "plan" | "head" | "bare">, Partial<Omit<BenchSettings, "quality">> {
  /** What quality is measured on, and what the ids of the timed batches are taken from; see `namedTask`. Random ids and no quality when left out. */
  readonly task?: string | undefined;
  /** Rows of the task's evaluation split at most. */
  readonly limit?: number | undefined;
}

/** One variant at one batch size, under the names that benchmark files have. */
export interface BenchRow {
  readonly variant: string;
  readonly batch: number;
  /** Of a forward pass: the shortest of the repetitions. */
  readonly ms: number;
  /** ms / the dense variant's, smaller is better. */
  readonly ratio: number;
  /** Of greedy generation, all rows together; language models alone. */
  readonly tokens_per_second?: number;
  /** Of the variant's process, over all batch sizes, loading included; quality is measured afterwards. */
  readonly peak_rss_mb: number;
  /** The task's first metric on its evaluation split, as a fraction; the same in each row of a variant. */
  readonly quality?: number;
  /** Rows of the split whose prediction is another than the dense variant's. */
  readonly changed?: number;
  /** The largest |logit − the dense variant's|; absent where texts are generated. */
  readonly largest_difference?: number;
}

/** A checkpoint's variants side by side. */
export interface BenchReport {
  readonly backend: string;
  /** Dense first. */
  readonly rows: readonly BenchRow[];
  /** Variants that could not be measured, and why. */
  readonly leftOut: readonly { readonly variant: string; readonly why: string }[];
  /** Variants whose outputs are not the dense ones. */
  readonly approximate: readonly string[];
  /** What quality was measured on; absent without a task. */
  readonly quality?: { readonly task: string; readonly split: string; readonly metric: string; readonly rows: number };
  /** What the executions report, by variant. */
  readonly reports: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Formats other than dense that the folder itself holds weights in, so that `dense` and the executions run on them. */
  readonly held: readonly string[];
  /** Tables of kernels by variant, where asked for. */
  readonly profiles: Readonly<Record<string, string>>;
}

/** The variant of an adapter's plan, by the paper's name for it. */
const PLAN = "ada-deft";

type Measured = Extract<BenchMessage, { measured: VariantMeasurement }> & { readonly variant: BenchVariant };

/**
 * Times a checkpoint run densely, by each execution and in each weight format that takes no options, and by its adapter's plan of skipped blocks where it has one, alone and
 * with each exact execution; each in a process of its own so that its peak memory is its own. With a task the quality of each is measured on the evaluation split.
 * @throws DeftError what loading throws; `options.invalid` for settings below 1 or rows longer than the model's positions; `evaluation.process` when the dense variant's process ends early
 */
export async function benchCheckpoint({ batches = [1, 8, 32], seq = 128, tokens = 32, iters = 7, task, limit, ...rest }: BenchRequest): Promise<BenchReport> {
  checkSettings({ batches, seq, tokens, iters, limit });
  const quality = task === undefined ? undefined : { task: namedTask(task, await trainedTask(rest)), limit };
  const request = { ...rest, batches, seq, tokens, iters, quality };
  const kernel = await kernelFor(request);
  if (request.quality !== undefined) benchTask(kernel, request.quality); // a wrong task ends it before anything is measured
  const dense = await measuredApart(request, { id: "dense" });
  const all = [dense];
  const leftOut: { variant: string; why: string }[] = [];
  const executions = ids(kernel, EXECUTION).map((id): BenchVariant => ({ id, execution: id }));
  const formats = ids(kernel, WEIGHT_FORMAT).map((id): BenchVariant => ({ id, weights: id }));
  const plans = (await hasPlan(request)) ? planned(executions.filter((variant) => !isApproximate(kernel, variant))) : [];
  const isExact = (variant: BenchVariant): boolean => !isApproximate(kernel, variant);
  for (const variant of [...executions.filter(isExact), ...plans, ...executions.filter((variant) => !isExact(variant)), ...formats]) {
    try {
      all.push(await measuredApart(request, variant));
    } catch (error) {
      leftOut.push({ variant: variant.id, why: (error as Error).message });
    }
  }
  return {
    backend: dense.measured.backend,
    rows: all.flatMap((one) => one.measured.times.map((time, i) => ({ ...row(one, time, dense.measured.times[i]), ...qualityColumns(one, dense) }))),
    leftOut,
    approximate: all.filter(({ variant }) => isApproximate(kernel, variant)).map(({ variant }) => variant.id),
    ...aboutQuality(request, dense),
    reports: Object.fromEntries(all.flatMap(({ variant, measured: { report } }) => (report === undefined ? [] : [[variant.id, report]]))),
    held: dense.measured.formats.filter((format) => format !== "dense"),
    profiles: Object.fromEntries(all.flatMap(({ variant, measured: { profile } }) => (profile === undefined ? [] : [[variant.id, profile]]))),
  };
}

/** The plan of skipped blocks, alone and with executions. */
function planned(executions: readonly BenchVariant[]): readonly BenchVariant[] {
  return [{ id: PLAN, planned: true }, ...executions.map((variant) => ({ ...variant, id: `${PLAN} + ${variant.id}`, planned: true }))];
}

function aboutQuality({ quality: asked }: BenchSettings, { measured: { quality } }: Measured): Pick<BenchReport, "quality"> {
  if (asked === undefined || quality === undefined) return {};
  const { split, metric, rows } = quality;
  return { quality: { task: chosen(asked.task)[0], split, metric, rows } };
}

function qualityColumns({ measured: { quality } }: Measured, { measured: { quality: dense } }: Measured): Pick<BenchRow, "quality" | "changed" | "largest_difference"> {
  if (quality === undefined || dense === undefined) return {};
  const { changed, largestDifference } = comparedQuality(quality, dense);
  return { quality: quality.value, changed, ...(largestDifference === undefined ? {} : { largest_difference: largestDifference }) };
}

function row({ variant, measured: { peakRssMb } }: Measured, { batch, ms, tokensPerSecond }: BenchTime, dense: BenchTime | undefined): BenchRow {
  return { variant: variant.id, batch, ms, ratio: ms / (dense?.ms ?? NaN), ...(tokensPerSecond === undefined ? {} : { tokens_per_second: tokensPerSecond }), peak_rss_mb: peakRssMb };
}

/** Contributions that can be made without options. */
function ids<T>(kernel: Kernel, point: ExtensionPoint<T>): readonly string[] {
  return kernel.contributions(point).filter(({ options }) => options?.safeParse({}).success !== false).map(({ id }) => id);
}

function isApproximate(kernel: Kernel, { execution, weights, planned = false }: BenchVariant): boolean {
  return planned || weights !== undefined || (execution !== undefined && !kernel.create(EXECUTION, execution).exact);
}

function checkSettings({ batches, seq, tokens, iters, limit = 1 }: BenchSettings & { readonly limit?: number | undefined }): void {
  const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 1;
  if (batches.length === 0 || !batches.every(isCount)) throw new DeftError("options.invalid", `bench: batches must be whole numbers of at least 1, got [${batches.join(", ")}]. Correct them.`);
  for (const [name, value] of Object.entries({ seq, tokens, iters, limit }))
    if (!isCount(value)) throw new DeftError("options.invalid", `bench: ${name} must be a whole number of at least 1, got ${value}. Correct it.`);
}

/** Measures a variant in a child that is started as this process was; what it prints goes to standard error. */
function measuredApart(request: CheckpointRequest & BenchSettings, variant: BenchVariant): Promise<Measured> {
  const entry = new URL(`./bench-process${extname(import.meta.url)}`, import.meta.url);
  const child = fork(entry, [JSON.stringify({ request, variant })], { stdio: ["ignore", 2, 2, "ipc"] });
  return new Promise((resolve, reject) => {
    child.once("message", (message: BenchMessage) => {
      if ("measured" in message) resolve({ ...message, variant });
      else if (message.error.code === undefined) reject(new Error(message.error.message));
      else reject(new DeftError(message.error.code, message.error.message));
    });
    child.once("error", reject);
    child.once("close", (code, signal) => reject(new DeftError("evaluation.process", `bench: the process of ${variant.id} must end with a result, got ${signal ?? `exit code ${code}`}. Lower the batch sizes if memory ran out.`)));
  });
}

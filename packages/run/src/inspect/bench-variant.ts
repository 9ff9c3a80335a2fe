import { batchTensors, DeftError, EXECUTION, formOf, generate, type HostBatch, type Model, type Split } from "@deft-js/core";
import { profileKernels, profileTable, readAsync, reshape, Rng, scope, slice } from "@deft-js/tensor";
import { benchTask, measureQuality, openBenchTask, rowsOf, type BenchTask, type Quality } from "./bench-quality.ts";
import { kernelFor, loadCheckpoint, type CheckpointRequest } from "./checkpoint.ts";
import { maxLengthFor } from "./texts.ts";

/** What every variant does; with random ids where no task is given. */
export interface BenchSettings {
  /** What quality is measured on, and what the ids of the timed batches are taken from. */
  readonly quality?: BenchTask | undefined;
  /** Rows of a batch: one measurement each. */
  readonly batches: readonly number[];
  /** Tokens of a row. */
  readonly seq: number;
  /** Tokens that a language model generates, and that the decoder of a forward pass is given. */
  readonly tokens: number;
  /** Repetitions; the shortest counts. */
  readonly iters: number;
  /** Whether one forward pass of the first batch is timed by kernel as well. */
  readonly profile?: boolean | undefined;
}

/** A way of running the checkpoint: an execution, a weight format, or the adapter's plan of skipped blocks; none of them is the dense one. */
export interface BenchVariant {
  readonly id: string;
  /** Whether the adapter's plan is followed; the blocks that it skips are run otherwise. */
  readonly planned?: boolean | undefined;
  readonly execution?: string | undefined;
  readonly weights?: string | undefined;
}

/** One variant's times at one batch size. */
export interface BenchTime {
  readonly batch: number;
  /** Milliseconds of a forward pass. */
  readonly ms: number;
  /** Of greedy generation, all rows together; absent where the head generates nothing. */
  readonly tokensPerSecond?: number | undefined;
}

/** What was measured of a variant. */
export interface VariantMeasurement {
  readonly backend: string;
  readonly times: readonly BenchTime[];
  /** Of the process after the last timed pass, in MB. */
  readonly peakRssMb: number;
  readonly quality?: Quality | undefined;
  /** What the execution reports. */
  readonly report?: Readonly<Record<string, unknown>> | undefined;
  /** Formats that the linear layers' weights are held in. */
  readonly formats: readonly string[];
  /** The kernels' times as a table, where asked for. */
  readonly profile?: string | undefined;
}

const WARM_UP = 2;
/** Of the inputs. */
const SEED = 1;

/**
 * Loads a checkpoint as one variant and times it: the minimum over repetitions of a forward pass until its last logit is read, and of greedy generation without
 * an end token.
 * @throws DeftError what loading, the back-end and the execution throw; `options.invalid` when the rows are longer than the model's positions
 */
export async function measureVariant(request: CheckpointRequest & BenchSettings, { execution, weights = "held", planned = false }: Omit<BenchVariant, "id">): Promise<VariantMeasurement> {
  const kernelOf = await kernelFor(request);
  const task = request.quality === undefined ? undefined : benchTask(kernelOf, request.quality);
  const { artifact, kernel, backend } = await loadCheckpoint({ ...request, kernel: kernelOf, weights, plan: planned ? "follow" : "ignore" });
  const { model, tokenizer } = artifact;
  try {
    checkPositions(model, request);
    const open = task === undefined ? undefined : await openBenchTask(task, artifact);
    const vocabulary = Math.min(tokenizer.vocabularySize, Number(model.config["vocab_size"] ?? Infinity));
    const inputs = request.batches.map((size) => (open === undefined ? randomBatch(model, { ...request, size, vocabulary }) : textBatch(model, open.first, { ...request, size })));
    const calibration = (): Iterable<HostBatch> => (open === undefined ? inputs : open.train.batches({ batchSize: 32 }));
    const installed = execution === undefined ? undefined : await kernel.create(EXECUTION, execution).install(model, { rng: new Rng(SEED), calibration });
    const times: BenchTime[] = [];
    for (const host of inputs) times.push(await timesOf(model, host, request));
    const first = inputs[0];
    const profile = request.profile === true && first !== undefined ? { profile: profileTable(await profileKernels(() => forward(model, first))) } : {};
    const formats = [...new Set(model.sites("linear").flatMap(({ weight }) => weight?.format ?? []))];
    const peakRssMb = Math.round(process.resourceUsage().maxRSS / 1024);
    const quality = task === undefined || open === undefined ? {} : { quality: await measureQuality(artifact, task, open.first) };
    return { backend, times, formats, peakRssMb, ...profile, ...quality, ...(installed === undefined ? {} : { report: installed.report() }) };
  } finally {
    model.dispose();
  }
}

async function timesOf(model: Model, host: HostBatch, { iters, tokens }: BenchSettings): Promise<BenchTime> {
  const ms = await shortest(() => forward(model, host), iters);
  if (model.head !== "language-model") return { batch: host.size, ms };
  const generation = await shortest(() => generate(model, host, { maxNewTokens: tokens, eos: [] }), iters);
  return { batch: host.size, ms, tokensPerSecond: (1000 * tokens * host.size) / generation };
}

/** A forward pass, until its last logit is there: to copy all of a language model's would take longer than to compute them. */
async function forward(model: Model, host: HostBatch): Promise<void> {
  const last = scope(() => {
    const { logits } = model.forward(batchTensors(host));
    return slice(reshape(logits, [logits.size]), [logits.size - 1], [1]);
  });
  try {
    await readAsync(last);
  } finally {
    last.dispose();
  }
}

async function shortest(body: () => Promise<unknown>, iters: number): Promise<number> {
  let best = Infinity;
  for (let i = 0; i < iters + WARM_UP; i++) {
    const started = performance.now();
    await body();
    if (i >= WARM_UP) best = Math.min(best, performance.now() - started);
  }
  return best;
}

/** Ids below the vocabulary's size from a seed, without padding; with labels where a decoder must be given some beside the encoder's input. */
function randomBatch(model: Model, { size, seq, tokens, vocabulary }: BenchSettings & { readonly size: number; readonly vocabulary: number }): HostBatch {
  const rng = new Rng(SEED);
  const ids = (count: number): Int32Array => Int32Array.from({ length: count }, () => rng.integer(vocabulary));
  const inputs = { size, seq, inputIds: ids(size * seq), attentionMask: new Float32Array(size * seq).fill(1) };
  return isEncoderDecoder(model) ? { ...inputs, labelSeq: tokens, labels: ids(size * tokens) } : inputs;
}

/** The same of a split's texts. */
function textBatch(model: Model, split: Split, { size, seq, tokens }: BenchSettings & { readonly size: number }): HostBatch {
  return rowsOf(split, { size, seq, labelSeq: isEncoderDecoder(model) ? tokens : undefined });
}

function isEncoderDecoder(model: Model): boolean {
  return new Set(model.sites("mlp").map(({ stack }) => stack)).size === 2;
}

function checkPositions(model: Model, { seq, tokens }: BenchSettings): void {
  const needed = formOf(model) === "causal" ? seq + tokens : seq;
  const positions = maxLengthFor(needed, undefined, model.config);
  if (positions < needed) throw new DeftError("options.invalid", `bench: a row must fit the model's ${positions} positions, got ${needed} tokens. Lower seq or tokens.`);
}

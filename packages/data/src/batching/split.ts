import { DeftError, type Encoded, type HostBatch, type Split, type TextGeneration } from "@deft-js/core";
import { causalBatch, IGNORED, promptBatch } from "./forms.ts";
import { batchIndices, type PassOptions } from "./order.ts";
import { packed, type PackedExamples } from "./packed.ts";

/** Options of `makeSplit`. */
export interface SplitOptions {
  /** As in events and metrics: `train`, `dev`, … */
  readonly name: string;
  readonly examples: readonly Encoded[];
  /** What fills rows up, the tokenizer's `padId`. */
  readonly padId: number;
  /** Whether numbers as labels are class indices or scores of a regression; `class` when left out. */
  readonly target?: "class" | "score" | undefined;
  /** Pads every batch to this many tokens, as the reference does (128); to the batch's longest example when left out, and in the forms `causal` and `prompts`. */
  readonly padTo?: number | undefined;
  /** How texts are generated from the examples and scored, where their labels are label ids. */
  readonly generation?: TextGeneration | undefined;
}

/**
 * A split over encoded examples, which are packed into typed arrays once. Rows are padded on the right, label ids with −100; in a split with
 * `generation` as the form of the pass says.
 * @throws DeftError `task.empty` without examples, `data.padTo` when an example is longer than `padTo`
 */
export function makeSplit(options: SplitOptions): Split {
  const { name, examples, padTo, generation } = options;
  if (examples.length === 0) throw new DeftError("task.empty", `split ${name}: must have rows, got none. Check the file and the options that select rows.`);
  const data = packed(examples);
  const longest = data.ids.lengths.reduce((most, length) => Math.max(most, length), 0);
  if (padTo !== undefined && !(Number.isInteger(padTo) && padTo >= longest))
    throw new DeftError("data.padTo", `split ${name}: padTo must be at least the longest example's ${longest} tokens, got ${padTo}. Make it larger or cut the examples.`);
  return {
    name,
    size: examples.length,
    generation,
    batches: (pass) => {
      const batches = plannedBatches(name, data, pass);
      return { [Symbol.iterator]: () => madeBatches(batches, data, { ...options, form: generation === undefined ? "pairs" : pass.form }) };
    },
  };
}

/** The batches of a pass, without those that `skip` passes over; the RNG is drawn from here, the same for every `skip`. */
function plannedBatches(name: string, data: PackedExamples, { batchSize, order, skip = 0, bucket = false }: PassOptions): Int32Array[] {
  if (!(Number.isInteger(batchSize) && batchSize > 0)) throw new DeftError("data.batchSize", `split ${name}: batchSize must be a positive whole number, got ${batchSize}. Correct it.`);
  if (!(Number.isInteger(skip) && skip >= 0)) throw new DeftError("data.skip", `split ${name}: skip must be a whole number of batches, got ${skip}. Correct it.`);
  return batchIndices({ lengths: data.ids.lengths, batchSize, order, bucket }).slice(skip);
}

function* madeBatches(batches: readonly Int32Array[], data: PackedExamples, options: BatchOptions): Generator<HostBatch> {
  for (const indices of batches) yield hostBatch(indices, data, options);
}

interface BatchOptions extends SplitOptions {
  readonly form: PassOptions["form"];
}

function hostBatch(indices: Int32Array, data: PackedExamples, { padId, padTo, target = "class", form }: BatchOptions): HostBatch {
  if (form === "causal") return causalBatch(indices, data, padId);
  if (form === "prompts") return promptBatch(indices, data, padId);
  const size = indices.length;
  const seq = padTo ?? data.ids.longest(indices);
  const attentionMask = new Float32Array(size * seq);
  for (const [row, i] of indices.entries()) attentionMask.fill(1, row * seq, row * seq + (data.ids.lengths[i] as number));
  return {
    size,
    seq,
    inputIds: data.ids.padded(indices, seq, padId), // [size, seq]
    attentionMask, // [size, seq]
    tokenTypeIds: data.types?.padded(indices, seq, 0), // [size, seq]
    ...labelsOf(indices, data, target),
  };
}

function labelsOf(indices: Int32Array, { values, labelIds }: PackedExamples, target: "class" | "score"): Pick<HostBatch, "labels" | "labelSeq" | "scores"> {
  if (labelIds !== undefined) {
    const labelSeq = labelIds.longest(indices);
    return { labels: labelIds.padded(indices, labelSeq, IGNORED), labelSeq }; // [size, labelSeq]
  }
  const of = (i: number): number => (values as Float64Array)[i] as number;
  return target === "score" ? { scores: Float32Array.from(indices, of) } : { labels: Int32Array.from(indices, of) }; // [size]
}

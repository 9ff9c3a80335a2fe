import type { Rng } from "@deft-js/tensor";
import type { HostBatch } from "./batch.ts";
import type { GenerationSettings } from "../generation/options.ts";
import type { HeadKind } from "./model.ts";

/** How a text becomes ids. */
export interface Tokenizer {
  readonly padId: number;
  /** Ids with special tokens, cut to maxLength (the longer text of a pair loses tokens first). */
  encode(text: string, pair: string | undefined, maxLength: number): { inputIds: number[]; tokenTypeIds: number[] };
  /** Ids of a text as it stands, without special tokens. */
  ids(text: string): number[];
  /** The text of ids, special tokens left out. */
  decode(ids: readonly number[]): string;
  readonly vocabularySize: number;
  /** The id of a special token by its role, where there is one. */
  special(role: "mask" | "cls" | "sep" | "pad" | "unk" | "eos"): number | undefined;
}

/** A split of a dataset, ready to be batched. */
export interface Split {
  readonly name: string;
  readonly size: number;
  /**
   * One pass over the split. `skip` batches are passed over without being made (resume).
   * @param order shuffles when given; file order otherwise
   * @param form how texts with what is to be generated from them are laid out; other splits take no notice. `pairs` (default): labels apart
   * from the inputs. `causal`: one row for both, labels −100 on the input. `prompts`: inputs alone, padded on the left.
   */
  batches(options: { batchSize: number; order?: Rng | undefined; skip?: number | undefined; bucket?: boolean | undefined; form?: "pairs" | "causal" | "prompts" | undefined }): Iterable<HostBatch>;
  /** How texts are generated from the rows and scored; absent where metrics are of logits. */
  readonly generation?: TextGeneration | undefined;
}

/** How a split's texts are generated and scored. */
export interface TextGeneration {
  /** Options of `generate`. */
  readonly options: GenerationSettings;
  /** Metrics of what was generated, row by row in the split's order, as fractions; the first decides which checkpoint is best. */
  metrics(generated: readonly GeneratedText[]): Readonly<Record<string, number>>;
}

/** What was generated for one row. */
export interface GeneratedText {
  /** The new tokens, up to and with the end token. */
  readonly ids: readonly number[];
  /** Their log-probability by `generate`'s length penalty, where its options ask for it. */
  readonly score?: number | undefined;
}

/** What a model predicted for one pass, row by row. */
export interface Predictions {
  /** Row-major [n, width]. */
  readonly logits: Float32Array;
  readonly width: number;
  /** [n] class indices, or targets of a regression. */
  readonly labels: Float32Array;
}

/** What a task needs of the run to open its data. */
export interface TaskContext {
  readonly tokenizer: Tokenizer;
  readonly rng: Rng;
}

/** A task with its data open. */
export interface OpenTask {
  readonly train: Split;
  /** The splits that metrics are computed on (`dev`; MNLI has two). */
  readonly evaluation: readonly Split[];
  /** Names of the classes, in the order of their indices; empty for a regression. */
  readonly labels: readonly string[];
}

/** A task, configured: its data, its head and its metrics. */
export interface Task {
  readonly id: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly head: HeadKind;
  /** What a model reads of a text, or of two, where that is not the text itself: the words around it. */
  input?(text: string, pair?: string): string;
  /** Opens and validates the data. Throws with file and line on a malformed row, `task.empty` when a split has no rows. */
  open(context: TaskContext): Promise<OpenTask>;
  /** The metrics of predictions, as fractions; the first decides which checkpoint is best. Absent where splits have `generation`. */
  metrics?(predictions: Predictions): Readonly<Record<string, number>>;
}

import type { Tensor } from "@deft-js/tensor";

/** Token ids of one example before padding. */
export interface Encoded {
  readonly inputIds: readonly number[];
  readonly tokenTypeIds?: readonly number[] | undefined;
  /** A class index, a score (regression), or label ids (language modelling; −100 = does not count). */
  readonly label: number | readonly number[];
}

/** A padded batch on the host: what the data side hands to the loop. */
export interface HostBatch {
  readonly size: number;
  readonly seq: number;
  /** [size·seq]. */
  readonly inputIds: Int32Array;
  /** [size·seq], 1 = token. */
  readonly attentionMask: Float32Array;
  readonly tokenTypeIds?: Int32Array | undefined;
  /** [size] class indices, or [size·labelSeq] label ids with −100. */
  readonly labels?: Int32Array | undefined;
  readonly labelSeq?: number | undefined;
  /** [size] regression targets. */
  readonly scores?: Float32Array | undefined;
}

/** The same as tensors. */
export interface Batch {
  readonly size: number;
  readonly seq: number;
  /** int32 [size, seq]. */
  readonly inputIds: Tensor;
  /** float32 [size, seq]. */
  readonly attentionMask: Tensor;
  /** int32 [size, seq]. */
  readonly tokenTypeIds?: Tensor | undefined;
  /** int32 [size] class indices, or int32 [size, labelSeq] label ids with −100. */
  readonly labels?: Tensor | undefined;
  /** float32 [size]. */
  readonly scores?: Tensor | undefined;
}

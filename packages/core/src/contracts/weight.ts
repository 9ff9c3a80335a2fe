import type { Tensor } from "@deft-js/tensor";
import type { ModelConfig, TensorSource } from "./model.ts";

/** A weight matrix behind one door, whatever its storage: dense, quantized, masked. */
export interface Weight {
  /** [dIn, dOut]. */
  readonly shape: readonly [number, number];
  /** `dense`, or the name of a weight format. */
  readonly format: string;
  /** Bytes held. */
  readonly bytes: number;
  /** The format that encodes a matrix as this one is held (its bits, its mask): what a merge may encode its result with. Absent for dense weights. */
  readonly encoding?: WeightFormat | undefined;
  /** x·W + b for x [..., dIn], with the gradient by x (and by W where it is trainable). */
  apply(x: Tensor, bias?: Tensor): Tensor;
  /** The whole matrix [dIn, dOut] as the forward pass sees it. The caller owns it (or its scope does). */
  dense(): Tensor;
  dispose(): void;
}

/** A way of holding the matrices of linear layers, configured: a quantization, a mask. */
export interface WeightFormat {
  /** The format's id: `nf4`, `int8`, … */
  readonly id: string;
  readonly options: Readonly<Record<string, unknown>>;
  /** Whether the matrix of the linear site with this path is to be held so; all are when left out. */
  accepts?(path: string): boolean;
  /** This format around another one, as a mask goes around a quantization; the other takes its place when left out. */
  over?(inner: WeightFormat): WeightFormat;
  /**
   * Encodes one matrix.
   * @param path the linear site's path
   * @param values in file layout, [dOut, dIn] row by row; not kept
   */
  encode(path: string, values: Float32Array, shape: { readonly dOut: number; readonly dIn: number }): Weight;
}

/** A tensor as a file holds it. */
export interface StoredTensor {
  readonly name: string;
  /** The safetensors name: `F32`, `U8`, … */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Little-endian elements, row by row. */
  readonly bytes: Uint8Array;
}

/** How a model folder holds weights that are not dense: the tensors beside PATH.weight, and what config.json says of them. */
export interface WeightLayout {
  readonly id: string;
  /**
   * Opens a folder whose config.json says that it holds weights in this layout; undefined when it says nothing of it.
   * @returns a source in which each such matrix has its [dOut, dIn] shape, its values and its `weight`, without the tensors beside it; and the configuration without the layout's keys
   * @throws DeftError `checkpoint.*` when the tensors do not fit together
   */
  open(config: ModelConfig, source: TensorSource): Promise<{ readonly source: TensorSource; readonly config: ModelConfig } | undefined>;
  /** The tensors that hold a weight; undefined when the layout has no place for it. */
  write(path: string, weight: Weight): readonly StoredTensor[] | undefined;
  /** What goes into config.json beside the model's own keys, given the weights that were written and the linear layers that stayed dense. */
  describe(written: ReadonlyMap<string, Weight>, dense: readonly string[]): Readonly<Record<string, unknown>>;
}

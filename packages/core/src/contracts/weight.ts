import type { Tensor } from "@deft-js/tensor";

/** A weight matrix behind one door, whatever its storage: dense, quantized, masked. */
export interface Weight {
  /** [dIn, dOut]. */
  readonly shape: readonly [number, number];
  /** `dense`, or the name of a weight format. */
  readonly format: string;
  /** Bytes held. */
  readonly bytes: number;
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
  /**
   * Encodes one matrix.
   * @param path the linear site's path
   * @param values in file layout, [dOut, dIn] row by row; not kept
   */
  encode(path: string, values: Float32Array, shape: { readonly dOut: number; readonly dIn: number }): Weight;
}

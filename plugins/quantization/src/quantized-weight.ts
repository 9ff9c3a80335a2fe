import { ops, transposeMatrix, type Weight, type WeightFormat } from "@deft-js/core";

/** A weight in few bits, on the host: multiplied block by block, never dense as a whole. */
export class QuantizedWeight implements Weight {
  readonly shape: readonly [number, number];
  readonly format: string;
  readonly bytes: number;
  readonly encoding: WeightFormat;
  /** Codes and scales of Wᵀ, [dOut, dIn] as in files. */
  readonly matrix: ops.QuantizedMatrix;

  /** @throws DeftError `tensor.quantized` when codes and scales do not fit the shape */
  constructor(path: string, matrix: ops.QuantizedMatrix, encoding: WeightFormat) {
    ops.checkQuantizedMatrix(matrix, `${encoding.id} ${path}`);
    this.shape = [matrix.dIn, matrix.dOut];
    this.format = encoding.id;
    this.bytes = ops.quantizedBytes(matrix);
    this.matrix = matrix;
    this.encoding = encoding;
  }

  apply(x: ops.Tensor, bias?: ops.Tensor): ops.Tensor {
    return ops.quantizedLinear(x, this.matrix, { bias });
  }

  dense(): ops.Tensor {
    const { dOut, dIn } = this.matrix;
    return ops.tensor(transposeMatrix(ops.dequantizedRows(this.matrix, 0, dOut), dOut, dIn), this.shape);
  }

  /** Holds no tensor: the arrays go with the last reference. */
  dispose(): void {
    // nothing to free
  }
}

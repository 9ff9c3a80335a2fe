import { DenseWeight, ops, transposeMatrix, type Weight, type WeightFormat } from "@deft-js/core";
import type { Removed } from "./selection.ts";

/** A mask as bits, [dOut, dIn] row by row: 1 = removed. */
type Bits = Uint8Array;

/** Packs a mask, eight weights to a byte. */
export function packMask(removed: Removed): Bits {
  const bits = new Uint8Array(Math.ceil(removed.length / 8));
  for (const [i, flag] of removed.entries()) if (flag !== 0) bits[i >> 3] = (bits[i >> 3] as number) | (1 << (i & 7));
  return bits;
}

const isRemoved = (bits: Bits, i: number): boolean => (((bits[i >> 3] as number) >> (i & 7)) & 1) === 1;

/**
 * The format `masked`: removed weights are 0, the others as `inner` holds them (dense when left out). Whoever encodes a changed matrix with
 * a masked weight's `encoding` (a merge, a quantization) keeps the mask.
 */
export function masked(bits: Bits, inner?: WeightFormat): WeightFormat {
  const format: WeightFormat = {
    id: "masked",
    options: inner === undefined ? {} : { inner: { [inner.id]: inner.options } },
    over: (next) => masked(bits, next),
    encode(path, values, shape) {
      const kept = values.map((value, i) => (isRemoved(bits, i) ? 0 : value)); // [dOut, dIn]
      return new MaskedWeight(inner?.encode(path, kept, shape) ?? dense(path, kept, shape), { bits, inner, encoding: format });
    },
  };
  return format;
}

function dense(path: string, values: Float32Array, { dOut, dIn }: { readonly dOut: number; readonly dIn: number }): Weight {
  return new DenseWeight(ops.Variable.from(`${path}.weight`, transposeMatrix(values, dOut, dIn), [dIn, dOut], { trainable: false }));
}

/** A frozen matrix with removed weights. An attached method's update is beside it and is not masked; merging re-applies the mask. */
export class MaskedWeight implements Weight {
  readonly shape: readonly [number, number];
  readonly format = "masked";
  readonly encoding: WeightFormat;
  /** The format in which what is left is held; dense when undefined. */
  readonly inner: WeightFormat | undefined;
  readonly #held: Weight;
  readonly #bits: Bits;

  constructor(held: Weight, { bits, inner, encoding }: { readonly bits: Bits; readonly inner: WeightFormat | undefined; readonly encoding: WeightFormat }) {
    this.shape = held.shape;
    this.encoding = encoding;
    this.inner = inner;
    this.#held = held;
    this.#bits = bits;
  }

  /** Whether the weight at this place of [dOut, dIn] is removed. */
  removes(place: number): boolean {
    return isRemoved(this.#bits, place);
  }

  /** Share of removed weights. */
  get sparsity(): number {
    const [dIn, dOut] = this.shape;
    let count = 0;
    for (let i = 0; i < dIn * dOut; i++) if (isRemoved(this.#bits, i)) count++;
    return count / (dIn * dOut);
  }

  get bytes(): number {
    return this.#held.bytes + this.#bits.byteLength;
  }

  apply(x: ops.Tensor, bias?: ops.Tensor): ops.Tensor {
    return this.#held.apply(x, bias);
  }

  dense(): ops.Tensor {
    return this.#held.dense();
  }

  dispose(): void {
    this.#held.dispose();
  }
}

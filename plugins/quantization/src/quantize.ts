import { ops, transposeMatrix, type Model, type WeightFormat } from "@deft-js/core";

/** What quantizing a model came to. */
export interface QuantizationReport {
  readonly format: string;
  readonly options: Readonly<Record<string, unknown>>;
  /** Linear layers that were quantized, and those that stayed as they were. */
  readonly quantized: number;
  readonly kept: readonly string[];
  /** Bytes of the quantized matrices, and of the same matrices in float32. */
  readonly bytes: number;
  readonly denseBytes: number;
  /** Of all quantized weights: the largest and the root mean square difference from the values before. */
  readonly error: { readonly max: number; readonly rms: number };
}

/**
 * Puts the linear layers of a model that the format accepts into it, one after the other; a mask stays around the quantized values. Layers of a trainable head stay
 * dense. The model holds its dense matrices until each one's turn comes: to keep the peak near the quantized size, load it quantized.
 */
export function quantizeModel(model: Model, format: WeightFormat): QuantizationReport {
  const heads = new Set(model.headParameters().map(({ path }) => path));
  const kept: string[] = [];
  let [quantized, bytes, denseBytes, max, squares] = [0, 0, 0, 0, 0];
  for (const { path, weight } of model.sites("linear")) {
    if (weight === undefined || weight.format === "absent" || heads.has(`${path}.weight`) || format.accepts?.(path) === false) {
      kept.push(path);
      continue;
    }
    const [dIn, dOut] = weight.shape;
    const before = ops.scope(() => ops.read(weight.dense())); // [dIn, dOut]
    const next = (weight.encoding?.over?.(format) ?? format).encode(path, transposeMatrix(before, dIn, dOut), { dOut, dIn });
    model.replaceWeight(path, next);
    const after = ops.scope(() => ops.read(next.dense()));
    for (let i = 0; i < before.length; i++) {
      const error = Math.abs((after[i] as number) - (before[i] as number));
      if (error > max) max = error;
      squares += error * error;
    }
    quantized++;
    bytes += next.bytes;
    denseBytes += dIn * dOut * 4;
  }
  return { format: format.id, options: format.options, quantized, kept, bytes, denseBytes, error: { max, rms: denseBytes === 0 ? 0 : Math.sqrt(squares / (denseBytes / 4)) } };
}

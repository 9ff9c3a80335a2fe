import type { ParameterSpec } from "@deft-js/core";

/** The sizes of a toy model. */
export interface ToySizes {
  readonly vocabulary: number;
  readonly dModel: number;
  readonly dFf: number;
  readonly layers: number;
  readonly labels: number;
}

/** The sizes used unless others are asked for. */
export const TOY_SIZES: ToySizes = { vocabulary: 11, dModel: 6, dFf: 8, layers: 2, labels: 3 };

/** A toy model's parameters, in BERT's manner of naming. */
export function toySpecs({ vocabulary, dModel: d, dFf, layers, labels }: ToySizes): readonly ParameterSpec[] {
  const linear = (path: string, dIn: number, dOut: number): ParameterSpec[] => [
    { name: `${path}.weight`, shape: [dOut, dIn], matrix: true, initial: { normal: 0.5 } },
    { name: `${path}.bias`, shape: [dOut], initial: { normal: 0.1 } },
  ];
  const layer = (path: string): ParameterSpec[] => [
    ...linear(`${path}.attention.self.query`, d, d),
    ...linear(`${path}.attention.self.value`, d, d),
    ...linear(`${path}.intermediate.dense`, d, dFf),
    ...linear(`${path}.output.dense`, dFf, d),
  ];
  return [
    { name: "toy.embeddings.weight", shape: [vocabulary, d], initial: { normal: 1 } },
    ...Array.from({ length: layers }, (_, i) => layer(`toy.encoder.layer.${i}`)).flat(),
    ...linear("classifier", d, labels),
  ];
}

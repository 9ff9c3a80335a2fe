import { sums, type Summand, type Tensor } from "@deft-js/tensor";

/** Loss terms on their way to the host. */
export interface TermValues {
  /** Σ values of every summand. */
  readonly parts: Tensor;
  /** Each term, Σ weight·Σ values, from what was read of `parts`. */
  terms(read: Float32Array): readonly number[];
}

/** What is needed to weight and sum the terms on the host: the few ops that would do it take longer than all of their numbers. */
export function termValues(terms: readonly (readonly Summand[])[]): TermValues {
  const weights = terms.map((summands) => summands.map(({ weight }) => weight));
  return {
    parts: sums(terms.flatMap((summands) => summands.map(({ values }) => values))),
    terms(read) {
      let at = 0;
      return weights.map((ofTerm) => ofTerm.reduce((total, weight) => total + weight * (read[at++] as number), 0));
    },
  };
}

import { ops, type ForwardResult, type TappedActivation } from "@deft-js/core";

/** A layer's activation from host values. */
export interface Layer {
  readonly values: ArrayLike<number>;
  /** [batch, seq, dFf]. */
  readonly shape: readonly [number, number, number];
  /** [batch·seq]; all real when left out. */
  readonly mask?: readonly number[];
  /** Of a gated MLP. */
  readonly product?: ArrayLike<number>;
  readonly stack?: "encoder" | "decoder";
  readonly layer?: number;
  readonly labelled?: boolean;
}

/** A forward result that carries these layers' activations. */
export function forwardOf(layers: readonly Layer[]): ForwardResult {
  const activations = layers.map(({ values, product, shape, mask, stack = "encoder", layer = 0, labelled }): TappedActivation => ({
    path: `${stack}.layer.${layer}.act`,
    stack,
    layer,
    value: ops.tensor(Float32Array.from(values), shape),
    product: product && ops.tensor(Float32Array.from(product), shape),
    labelled,
    mask: ops.tensor(mask ?? new Float32Array(shape[0] * shape[1]).fill(1), [shape[0], shape[1]]),
  }));
  return { logits: ops.scalar(0), activations, hiddenStates: [] };
}

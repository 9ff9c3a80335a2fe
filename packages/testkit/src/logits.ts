import { batchTensors, ops, type HostBatch, type Model } from "@deft-js/core";

/** A model's logits and their shape. */
export interface Logits {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** What a model computes of a batch in evaluation mode, on the host. */
export function hostLogits(model: Model, host: HostBatch): Logits {
  return ops.scope(() => {
    const { logits } = model.forward(batchTensors(host));
    return { shape: logits.shape, values: ops.read(logits) };
  });
}

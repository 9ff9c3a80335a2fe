import type { KernelTable } from "@deft-js/tensor";
import type { AttentionShape } from "../addon.ts";
import type { NativeBackend } from "../backend.ts";
import { required, type FusedKernel, type Inputs } from "../kernel.ts";

type Floats = Float32Array | null;
type Operands = [q: Floats, k: Floats, v: Floats, mask: Floats, bias: Floats];

function shapeOf(inputs: Inputs, { heads, scale, causal, dropout, seed }: KernelTable["DeftAttention"]): AttentionShape {
  const [batch = 0, queries = 0, width = 0] = required(inputs, "q", "attention").shape;
  const keys = required(inputs, "k", "attention").shape[1] ?? 0;
  return [scale, causal, dropout, seed | 0, batch, heads, queries, keys, width / heads, inputs["bias"]?.shape[0] ?? 0];
}

function operands(backend: NativeBackend, inputs: Inputs): Operands {
  return ["q", "k", "v", "mask", "bias"].map((name) => (inputs[name] === undefined ? null : backend.floats(inputs[name]))) as Operands;
}

/** The context and log Σ exp of each row of scores. */
export const attention: FusedKernel<"DeftAttention"> = (backend, inputs, attrs) => {
  const shape = shapeOf(inputs, attrs);
  const [context, contextValues] = backend.make(required(inputs, "q", "attention").shape);
  const [logSumExp, logValues] = backend.make([shape[4], shape[5], shape[6]]);
  backend.addon.attention(...shape, ...operands(backend, inputs), contextValues, logValues);
  return [context, logSumExp];
};

/** dq, dk, dv, and dbias when `biasGradient`. */
export const attentionGradient: FusedKernel<"DeftAttentionGradient"> = (backend, inputs, attrs) => {
  const shape = shapeOf(inputs, attrs);
  const [dq, dqValues] = backend.make(required(inputs, "q", "attention gradient").shape);
  const [dk, dkValues] = backend.make(required(inputs, "k", "attention gradient").shape);
  const [dv, dvValues] = backend.make(required(inputs, "v", "attention gradient").shape);
  const [dBias, dBiasValues] = attrs.biasGradient ? backend.make(required(inputs, "bias", "attention gradient").shape) : [undefined, null];
  const logSumExp = backend.floats(required(inputs, "logSumExp", "attention gradient"));
  const dy = backend.floats(required(inputs, "dy", "attention gradient"));
  backend.addon.attentionGradient(...shape, ...operands(backend, inputs), logSumExp, dy, dqValues, dkValues, dvValues, dBiasValues);
  return dBias === undefined ? [dq, dk, dv] : [dq, dk, dv, dBias];
};

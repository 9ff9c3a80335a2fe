import { ACTIVATIONS } from "../activation.ts";
import { asMatrix, required, sizeOf, type FusedKernel } from "../kernel.ts";

/** y = f(x). */
export const activation: FusedKernel<"DeftActivation"> = (backend, inputs, { kind }) => {
  const x = required(inputs, "x", "activation");
  const [y, values] = backend.make(x.shape);
  backend.addon.activation(ACTIVATIONS[kind], sizeOf(x), backend.floats(x), values);
  return [y];
};

/** dx = (dy + dp·w·2yε/(y²+ε)²)·f′, the density term inside; the penalty beside it. */
export const activationGradient: FusedKernel<"DeftActivationGradient"> = (backend, inputs, { kind, epsilon }) => {
  const { x, y, slope, dy, penalty } = inputs;
  const like = x ?? slope ?? required(inputs, "y", "activation gradient");
  const [weights, dp] = epsilon === undefined ? [] : [required(inputs, "weights", "activation gradient"), required(inputs, "dp", "activation gradient")];
  const [rows, n] = asMatrix(like);
  const [dx, values] = dy === undefined ? backend.make(like.shape) : backend.over(dy);
  const read = (tensor: typeof x): Float32Array | null => (tensor === undefined ? null : backend.floats(tensor));
  backend.addon.activationGradient(ACTIVATIONS[kind], epsilon ?? 0, rows, n, read(x), read(y), read(slope), read(dy), read(weights), dp === undefined ? 0 : sizeOf(dp), read(dp), values, penalty === undefined ? null : backend.writable(penalty));
  return [dx];
};

/** p_b = Σ w·a²/(a²+ε), or room for it. */
export const densityPenalty: FusedKernel<"DeftDensityPenalty"> = (backend, inputs, { epsilon, late }) => {
  const a = required(inputs, "a", "density");
  const weights = required(inputs, "weights", "density");
  const [batch = 0, seq = 0, n = 0] = a.shape;
  const [p, values] = backend.make([batch]);
  if (late) values.fill(NaN);
  else backend.addon.density(epsilon, batch, seq, n, backend.floats(a), backend.floats(weights), values);
  return [p];
};

/** da = dp·w·2aε/(a²+ε)²; the penalty beside it. */
export const densityPenaltyGradient: FusedKernel<"DeftDensityPenaltyGradient"> = (backend, inputs, { epsilon }) => {
  const a = required(inputs, "a", "density gradient");
  const weights = backend.floats(required(inputs, "weights", "density gradient"));
  const dy = backend.floats(required(inputs, "dy", "density gradient"));
  const [batch = 0, seq = 0, n = 0] = a.shape;
  const [da, values] = backend.make(a.shape);
  const { penalty } = inputs;
  backend.addon.densityGradient(epsilon, batch, seq, n, backend.floats(a), weights, dy, values, penalty === undefined ? null : backend.writable(penalty));
  return [da];
};

/** w = mask/(max(Σ mask, 1)·neurons). */
export const positionWeights: FusedKernel<"DeftPositionWeights"> = (backend, inputs, { neurons }) => {
  const mask = required(inputs, "mask", "position weights");
  const [rows, n] = asMatrix(mask);
  const from = backend.floats(mask);
  const [weights, values] = backend.make(mask.shape);
  for (let first = 0; first < rows * n; first += n) {
    let sum = 0;
    for (let i = first; i < first + n; i++) sum += from[i] as number;
    const count = Math.max(sum, 1) * neurons;
    for (let i = first; i < first + n; i++) values[i] = (from[i] as number) / count;
  }
  return [weights];
};

/** y = x·keep/(1−p). */
export const dropout: FusedKernel<"DeftDropout"> = (backend, inputs, { probability, seed }) => {
  const x = required(inputs, "x", "dropout");
  const [y, values] = backend.make(x.shape);
  backend.addon.dropout(probability, seed | 0, sizeOf(x), backend.floats(x), values);
  return [y];
};

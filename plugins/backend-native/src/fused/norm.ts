import { asMatrix, required, type FusedKernel } from "../kernel.ts";

/** y, mean, 1/σ, and z = x + residual when there is a residual. */
export const norm: FusedKernel<"DeftNorm"> = (backend, inputs, { kind, epsilon }) => {
  const x = required(inputs, "x", "norm");
  const { residual, beta } = inputs;
  const [rows, n] = asMatrix(x);
  const [y, yValues] = backend.make(x.shape);
  const [mean, meanValues] = backend.make([rows]);
  const [rstd, rstdValues] = backend.make([rows]);
  const [z, zValues] = residual === undefined ? [undefined, null] : backend.make(x.shape);
  const gamma = backend.floats(required(inputs, "gamma", "norm"));
  const shift = kind === "rms" || beta === undefined ? null : backend.floats(beta);
  backend.addon.norm(kind === "rms", epsilon, rows, n, backend.floats(x), residual ? backend.floats(residual) : null, gamma, shift, yValues, meanValues, rstdValues, zValues);
  return z === undefined ? [y, mean, rstd] : [y, mean, rstd, z];
};

/** dz onto a sum that is given, and dγ and dβ when `parameters`. */
export const normGradient: FusedKernel<"DeftNormGradient"> = (backend, inputs, { kind, parameters }) => {
  const dy = required(inputs, "dy", "norm gradient");
  const [z, gamma, mean, rstd] = ["z", "gamma", "mean", "rstd"].map((name) => backend.floats(required(inputs, name, "norm gradient"))) as [F, F, F, F];
  const [rows, n] = asMatrix(dy);
  const { sum } = inputs;
  const [dz, dzValues] = sum !== undefined ? backend.continued(sum) : parameters ? backend.make(dy.shape) : backend.over(dy); // the parameters' gradients read dy afterwards
  const [dGamma, dGammaValues] = parameters ? backend.make([n]) : [undefined, null];
  const [dBeta, dBetaValues] = parameters && kind === "layer" ? backend.make([n]) : [undefined, null];
  backend.addon.normGradient(kind === "rms", sum !== undefined, rows, n, backend.floats(dy), z, gamma, mean, rstd, dzValues, dGammaValues, dBetaValues);
  return [dz, dGamma, dBeta].filter((tensor) => tensor !== undefined);
};

type F = Float32Array;

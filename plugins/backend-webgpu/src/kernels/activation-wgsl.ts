import { derivesFromOutput as kindDerivesFromOutput, ERF_P, ERF_Q, GELU_NEW_ZERO, GELU_ZERO, type ActivationKind } from "@deft-js/tensor";

/** An activation, or none. */
export type Activation = ActivationKind | "identity";

/** A polynomial in s, the highest power first. */
const horner = (coefficients: readonly number[]): string => coefficients.slice(1).reduce((sum, c) => `(${sum} * s + ${c})`, String(coefficients[0]));

/**
 * The exact zeros of the GELU forms fall where PyTorch's float32 ones do; erf is Eigen's float32 minimax form x·P(x²)/Q(x²) on [−4, 4]: both as in the composed form of
 * @deft-js/tensor. tanh below 1/4 is its series, where 1 − e would lose what it says.
 */
const SHARED = /* wgsl */ `
fn sigmoid(x : f32) -> f32 { return 1.0 / (1.0 + exp(-x)); }
fn hyperbolic(x : f32) -> f32 {
  let s = x * x;
  if (s < 0.0625) { return x * (1.0 + s * (-0.33333333 + s * (0.13333333 + s * (-0.053968254 + s * 0.021869489)))); }
  let e = exp(-2.0 * abs(x));
  return sign(x) * (1.0 - e) / (1.0 + e);
}
fn normal_cdf(x : f32) -> f32 {
  let z = clamp(x * 0.70710678118654752, -4.0, 4.0);
  let s = z * z;
  let p = ${horner(ERF_P)};
  let q = ${horner(ERF_Q)};
  return 0.5 * (1.0 + clamp(z * p / q, -1.0, 1.0));
}
fn inner_tanh(x : f32) -> f32 { return hyperbolic(0.79788456080286536 * (x + 0.044715 * x * x * x)); }
fn with_zeros(x : f32, factor : f32, zero : f32) -> f32 { return x * select(max(factor, 2.9802322387695312e-8), 0.0, x <= zero); }`;

/** f(x) as an expression. */
const VALUES: Readonly<Record<Activation, string>> = {
  identity: "x",
  relu: "select(x, 0.0, x < 0.0)",
  gelu: `with_zeros(x, normal_cdf(x), ${GELU_ZERO})`,
  gelu_new: `with_zeros(x, 0.5 * (1.0 + inner_tanh(x)), ${GELU_NEW_ZERO})`,
  silu: "x * sigmoid(x)",
  tanh: "hyperbolic(x)",
  sigmoid: "sigmoid(x)",
};

/** f′ as the statements of a function of y = f(x) for the kinds that derive from their output, of x for the others. */
const SLOPES: Readonly<Record<Activation, string>> = {
  identity: "return 1.0;",
  relu: "return select(1.0, 0.0, at <= 0.0);",
  gelu: "return normal_cdf(at) + at * 0.39894228040143268 * exp(-0.5 * at * at);",
  gelu_new: "let t = inner_tanh(at); return 0.5 * (1.0 + t + at * (1.0 - t * t) * 0.79788456080286536 * (1.0 + 0.134145 * at * at));",
  silu: "let s = sigmoid(at); return s * (1.0 + at * (1.0 - s));",
  tanh: "return 1.0 - at * at;",
  sigmoid: "return at * (1.0 - at);",
};

/** Whether f′ is taken from y = f(x) in place of x. */
export function derivesFromOutput(kind: Activation): boolean {
  return kind === "identity" || kindDerivesFromOutput(kind);
}

/** WGSL of `activate(x)` = f(x) and `slope_of(at)` = f′, with `at` as `derivesFromOutput` says. */
export function activationWgsl(kind: Activation): string {
  return `${SHARED}
fn activate(x : f32) -> f32 { return ${VALUES[kind]}; }
fn slope_of(at : f32) -> f32 { ${SLOPES[kind]} }`;
}

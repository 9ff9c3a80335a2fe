import type { ActivationKind } from "../kernels.ts";
import { tf, type Tensor } from "../tfjs.ts";

/** The largest x at which PyTorch's float32 `gelu` is exactly −0; above it the result is not zero. */
export const GELU_ZERO = -5.543040752410889;
/** The same for `gelu_new`. */
export const GELU_NEW_ZERO = -5.061380863189697;

const SQRT_HALF = Math.SQRT1_2;
const INVERSE_SQRT_TAU = 1 / Math.sqrt(2 * Math.PI);
const TANH_SCALE = Math.sqrt(2 / Math.PI);
const TANH_CUBIC = 0.044715;

/** P of erf(x) ≈ x·P(x²)/Q(x²) on [−4, 4], the float32 minimax form that Eigen publishes, within 3 units in the last place; the highest power first. */
export const ERF_P = [-2.72614225801306e-10, 2.77068142495902e-8, -2.10102402082508e-6, -5.69250639462346e-5, -7.34990630326855e-4, -2.95459980854025e-3, -1.60960333262415e-2];
/** Q of it. */
export const ERF_Q = [-1.45660718464996e-5, -2.13374055278905e-4, -1.68282697438203e-3, -7.37332916720468e-3, -1.42647390514189e-2];

function horner(x: Tensor, coefficients: readonly number[]): Tensor {
  return coefficients.slice(1).reduce<Tensor>((sum, c) => tf.add(tf.mul(sum, x), c), tf.fill(x.shape, coefficients[0] ?? 0));
}

function erf(x: Tensor): Tensor {
  const inside = tf.clipByValue(x, -4, 4);
  const squared = tf.square(inside);
  return tf.clipByValue(tf.div(tf.mul(inside, horner(squared, ERF_P)), horner(squared, ERF_Q)), -1, 1);
}

/** Φ(x) = ½(1 + erf(x/√2)). */
const normalCdf = (x: Tensor): Tensor => tf.mul(tf.add(erf(tf.mul(x, SQRT_HALF)), 1), 0.5);
/** tanh(√(2/π)(x + 0.044715x³)). */
const innerTanh = (x: Tensor): Tensor => tf.tanh(tf.mul(tf.add(x, tf.mul(tf.mul(tf.square(x), x), TANH_CUBIC)), TANH_SCALE));

/** Puts the exact zeros where PyTorch has them: at and below `zero`, and nowhere else on the negative side. */
function withZeros(x: Tensor, factor: Tensor, zero: number): Tensor {
  const positive = tf.maximum(factor, 2 ** -25);
  return tf.mul(x, tf.where(tf.lessEqual(x, zero), tf.zerosLike(x), positive));
}

/** f(x) from plain tfjs kernels, for back-ends without the fused one. */
export function composedActivation(x: Tensor, kind: ActivationKind): Tensor {
  switch (kind) {
    case "relu":
      return tf.relu(x);
    case "gelu":
      return withZeros(x, normalCdf(x), GELU_ZERO);
    case "gelu_new":
      return withZeros(x, tf.mul(tf.add(innerTanh(x), 1), 0.5), GELU_NEW_ZERO);
    case "silu":
      return tf.mul(x, tf.sigmoid(x));
    case "tanh":
      return tf.tanh(x);
    case "sigmoid":
      return tf.sigmoid(x);
  }
}

/** Whether f′(x) is taken from y = f(x), so that x need not be kept. */
export function derivesFromOutput(kind: ActivationKind): boolean {
  return kind === "relu" || kind === "tanh" || kind === "sigmoid";
}

/** f′(x) from plain tfjs kernels, at y for the kinds that derive from their output, at x for the others. */
export function composedDerivative(at: Tensor, kind: ActivationKind): Tensor {
  switch (kind) {
    case "relu":
      return tf.sub(1, tf.cast(tf.lessEqual(at, 0), "float32"));
    case "gelu": {
      const density = tf.mul(tf.exp(tf.mul(tf.square(at), -0.5)), INVERSE_SQRT_TAU);
      return tf.add(normalCdf(at), tf.mul(at, density));
    }
    case "gelu_new": {
      const t = innerTanh(at);
      const slope = tf.mul(tf.add(tf.mul(tf.square(at), 3 * TANH_CUBIC), 1), TANH_SCALE);
      return tf.mul(tf.add(tf.add(t, 1), tf.mul(at, tf.mul(tf.sub(1, tf.square(t)), slope))), 0.5);
    }
    case "silu": {
      const s = tf.sigmoid(at);
      return tf.mul(s, tf.add(tf.mul(at, tf.sub(1, s)), 1));
    }
    case "tanh":
      return tf.sub(1, tf.square(at));
    case "sigmoid":
      return tf.mul(at, tf.sub(1, at));
  }
}

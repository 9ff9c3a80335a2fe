import { plus } from "../run-kernel.ts";
import { differentiable } from "../tape.ts";
import { tf, type Tensor } from "../tfjs.ts";

/** Sums a gradient over the axes along which `shape` was broadcast. */
export function sumTo(dy: Tensor, shape: readonly number[]): Tensor {
  const extra = dy.shape.length - shape.length;
  const axes = dy.shape.flatMap((n, i) => (i < extra || (shape[i - extra] === 1 && n !== 1) ? [i] : []));
  const summed = axes.length === 0 ? dy : tf.sum(dy, axes, true);
  return summed.shape.length === shape.length ? summed : tf.reshape(summed, [...shape]);
}

/** sum + part without a record; a sum that is not there yet counts as 0. */
export function addTo(sum: Tensor | undefined, part: Tensor): Tensor {
  return sum === undefined ? part : plus(sum, part);
}

type Binary = (a: Tensor, b: Tensor) => Tensor;

function binary(name: string, f: Binary, da: (dy: Tensor, a: Tensor, b: Tensor) => Tensor, db: (dy: Tensor, a: Tensor, b: Tensor) => Tensor): Binary {
  return (a, b) =>
    differentiable({
      name,
      inputs: [a, b],
      forward: () => ({ output: f(a, b), saved: [a, b] }),
      backward: (dy, [needsA, needsB]) => [
        needsA === true ? sumTo(da(dy.value(), a, b), a.shape) : undefined,
        needsB === true ? sumTo(db(dy.value(), a, b), b.shape) : undefined,
      ],
    });
}

/** a + b, with broadcasting. */
export const add = binary("add", plus, (dy) => dy, (dy) => dy);
/** a − b, with broadcasting. */
export const sub = binary("sub", tf.sub, (dy) => dy, (dy) => tf.neg(dy));
/** a·b elementwise, with broadcasting. */
export const mul = binary("mul", tf.mul, (dy, _a, b) => tf.mul(dy, b), (dy, a) => tf.mul(dy, a));
/** a/b elementwise, with broadcasting. */
export const div = binary("div", tf.div, (dy, _a, b) => tf.div(dy, b), (dy, a, b) => tf.neg(tf.div(tf.mul(dy, a), tf.square(b))));

type Unary = (x: Tensor) => Tensor;

/** A unary op from f and its derivative in terms of x and y = f(x). */
function unary(name: string, f: Unary, df: (x: Tensor, y: Tensor) => Tensor): Unary {
  return (x) => {
    let y: Tensor;
    return differentiable({
      name,
      inputs: [x],
      forward: () => ({ output: (y = f(x)), saved: [x, y] }),
      backward: (dy) => [tf.mul(dy.value(), df(x, y))],
    });
  };
}

/** 1 where x > 0, −1 where x < 0, 0 at 0. */
const sign: Unary = (x) => tf.sub(tf.cast(tf.greater(x, 0), "float32"), tf.cast(tf.less(x, 0), "float32"));

/** −x. */
export const neg = unary("neg", tf.neg, (x) => tf.neg(tf.onesLike(x)));
/** x². */
export const square = unary("square", tf.square, (x) => tf.mul(x, 2));
/** eˣ. */
export const exp = unary("exp", tf.exp, (_x, y) => y);
/** ln x. */
export const log = unary("log", tf.log, (x) => tf.reciprocal(x));
/** |x|, with derivative 0 at 0. */
export const abs = unary("abs", tf.abs, sign);
/** √x, with derivative 0 at 0 (where the true one is infinite), so that a norm of a zero vector has a zero gradient. */
export const sqrt = unary("sqrt", tf.sqrt, (x, y) => tf.where(tf.greater(x, 0), tf.div(tf.scalar(0.5), y), tf.zerosLike(x)));

/** s·x for a constant number s. */
export function scale(x: Tensor, factor: number): Tensor {
  return differentiable({
    name: "scale",
    inputs: [x],
    forward: () => ({ output: tf.mul(x, factor) }),
    backward: (dy) => [tf.mul(dy.value(), factor)],
  });
}

/** x limited to [low, high]; the derivative is 1 inside and at the limits, 0 outside. */
export function clip(x: Tensor, low: number, high: number): Tensor {
  return differentiable({
    name: "clip",
    inputs: [x],
    forward: () => ({ output: tf.clipByValue(x, low, high), saved: [x] }),
    backward: (dy) => [tf.mul(dy.value(), tf.cast(tf.logicalAnd(tf.greaterEqual(x, low), tf.lessEqual(x, high)), "float32"))],
  });
}

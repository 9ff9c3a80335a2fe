import { output, runKernel } from "../run-kernel.ts";
import { scope } from "../scope.ts";
import { differentiable, type Summand } from "../tape.ts";
import { tf, type Tensor } from "../tfjs.ts";
import { add, scale } from "./elementwise.ts";
import { concat, reshape } from "./shape.ts";

/** Options of the reductions. */
export interface ReduceOptions {
  /** The axes to reduce; all of them when left out. */
  readonly axes?: readonly number[];
  /** Keeps the reduced axes with size 1. */
  readonly keepDims?: boolean;
}

function axesOf(x: Tensor, axes?: readonly number[]): number[] {
  return (axes ?? x.shape.map((_, i) => i)).map((axis) => (axis < 0 ? axis + x.shape.length : axis));
}

/** Spreads the gradient of a reduction over the shape that was reduced. */
function spread(dy: Tensor, shape: readonly number[], axes: readonly number[]): Tensor {
  if (tf.util.sizeFromShape([...shape]) === 0) return tf.zeros([...shape]); // broadcastTo leaves [1] for [0]
  const kept = shape.map((n, i) => (axes.includes(i) ? 1 : n));
  return tf.broadcastTo(tf.reshape(dy, kept), [...shape]);
}

/** Σ x, 0 over nothing: tfjs's WebGPU cannot sum an empty tensor. */
function total(x: Tensor, axes: readonly number[], keepDims: boolean): Tensor {
  if (x.size > 0) return tf.sum(x, [...axes], keepDims);
  const shape = keepDims ? x.shape.map((n, i) => (axes.includes(i) ? 1 : n)) : x.shape.filter((_, i) => !axes.includes(i));
  return tf.zeros(shape);
}

/** Σ x over axes. */
export function sum(x: Tensor, options: ReduceOptions = {}): Tensor {
  const axes = axesOf(x, options.axes);
  return differentiable({
    name: "sum",
    inputs: [x],
    forward: () => ({ output: total(x, axes, options.keepDims ?? false) }),
    backward: (dy) => [spread(dy.value(), x.shape, axes)],
  });
}

/** Σx of each tensor, [n] for n tensors, at least one; without a gradient. */
export function sums(tensors: readonly Tensor[]): Tensor {
  return ofEach("DeftSums", tensors, (x) => total(x, axesOf(x), false));
}

/** Σx² of each tensor, as `sums`. */
export function squaredNorms(tensors: readonly Tensor[]): Tensor {
  return ofEach("DeftSquaredNorms", tensors, (x) => total(tf.square(x), axesOf(x), false));
}

function ofEach(kernel: "DeftSums" | "DeftSquaredNorms", tensors: readonly Tensor[], otherwise: (x: Tensor) => Tensor): Tensor {
  const fused = runKernel(kernel, Object.fromEntries(tensors.entries()), {});
  return fused === undefined ? scope(() => tf.stack(tensors.map(otherwise))) : output(fused, 0, kernel);
}

/** Σ weight·Σ values, []; 0 for no summand. Those of the same weight are summed together. */
export function weightedSum(summands: readonly Summand[]): Tensor {
  const alike = new Map<number, Tensor[]>();
  for (const { values, weight } of summands) alike.set(weight, [...(alike.get(weight) ?? []), values]);
  const parts = [...alike].map(([weight, tensors]) => {
    const all = tensors.length === 1 ? (tensors[0] as Tensor) : concat(tensors.map(flat), 0);
    const one = all.size === 1 ? reshape(all, []) : sum(all);
    return weight === 1 ? one : scale(one, weight);
  });
  return parts.length === 0 ? tf.scalar(0) : parts.reduce((a, b) => add(a, b));
}

function flat(x: Tensor): Tensor {
  return x.shape.length === 1 ? x : reshape(x, [x.size]);
}

/** The mean of x over axes. */
export function mean(x: Tensor, options: ReduceOptions = {}): Tensor {
  const axes = axesOf(x, options.axes);
  const count = axes.reduce((n, axis) => n * (x.shape[axis] ?? 1), 1);
  return differentiable({
    name: "mean",
    inputs: [x],
    forward: () => ({ output: tf.mul(total(x, axes, options.keepDims ?? false), 1 / count) }),
    backward: (dy) => [tf.mul(spread(dy.value(), x.shape, axes), 1 / count)],
  });
}

/** softmax over the last axis. */
export function softmax(x: Tensor): Tensor {
  let y: Tensor;
  return differentiable({
    name: "softmax",
    inputs: [x],
    forward: () => ({ output: (y = tf.softmax(x)), saved: [y] }),
    backward: (gradient) => {
      const weighted = tf.mul(gradient.value(), y);
      return [tf.sub(weighted, tf.mul(tf.sum(weighted, -1, true), y))];
    },
  });
}

import { differentiable } from "../tape.ts";
import { tf, type Tensor } from "../tfjs.ts";

/** The same values under another shape. */
export function reshape(x: Tensor, shape: readonly number[]): Tensor {
  return differentiable({
    name: "reshape",
    inputs: [x],
    forward: () => ({ output: tf.reshape(x, [...shape]) }),
    backward: (dy) => [tf.reshape(dy.value(), x.shape)],
  });
}

/** Axes in another order: axis i of the result is axis `order[i]` of x. */
export function transpose(x: Tensor, order?: readonly number[]): Tensor {
  const perm = order ?? x.shape.map((_, i) => x.shape.length - 1 - i);
  return differentiable({
    name: "transpose",
    inputs: [x],
    forward: () => ({ output: tf.transpose(x, [...perm]) }),
    backward: (dy) => [tf.transpose(dy.value(), perm.map((_, i) => perm.indexOf(i)))],
  });
}

/** The block of x that starts at `begin` and has the size `size` (−1: to the end). */
export function slice(x: Tensor, begin: readonly number[], size: readonly number[]): Tensor {
  return differentiable({
    name: "slice",
    inputs: [x],
    forward: () => ({ output: tf.slice(x, [...begin], [...size]) }),
    backward: (gradient) => {
      const dy = gradient.value();
      return [tf.pad(dy, x.shape.map((n, i) => [begin[i] ?? 0, n - (begin[i] ?? 0) - (dy.shape[i] ?? 0)]))];
    },
  });
}

/** Tensors one after the other along an axis. */
export function concat(parts: readonly Tensor[], along: number): Tensor {
  const axis = along < 0 ? along + (parts[0]?.shape.length ?? 0) : along;
  return differentiable({
    name: "concat",
    inputs: parts,
    forward: () => ({ output: tf.concat([...parts], axis) }),
    backward: (dy, needs) => {
      let start = 0;
      return parts.map((part, i) => {
        const begin = part.shape.map((_, d) => (d === axis ? start : 0));
        start += part.shape[axis] ?? 0;
        return needs[i] === true ? tf.slice(dy.value(), begin, part.shape) : undefined;
      });
    },
  });
}

/** x repeated to a larger shape by the rules of broadcasting. */
export function broadcastTo(x: Tensor, shape: readonly number[]): Tensor {
  return differentiable({
    name: "broadcastTo",
    inputs: [x],
    forward: () => ({ output: tf.broadcastTo(x, [...shape]) }),
    backward: (dy) => {
      const axes = shape.flatMap((n, i) => {
        const own = x.shape[i - (shape.length - x.shape.length)];
        return own === undefined || (own === 1 && n !== 1) ? [i] : [];
      });
      return [tf.reshape(tf.sum(dy.value(), axes), x.shape)];
    },
  });
}

import { differentiable } from "../tape.ts";
import { tf, type Tensor } from "../tfjs.ts";
import { sumTo } from "./elementwise.ts";

/** Which operands of a product are taken transposed in their last two axes. */
export interface MatMulOptions {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

/** a·b over the last two axes, leading axes broadcast. */
export function matMul(a: Tensor, b: Tensor, options: MatMulOptions = {}): Tensor {
  const ta = options.transposeA ?? false;
  const tb = options.transposeB ?? false;
  return differentiable({
    name: "matMul",
    inputs: [a, b],
    forward: () => ({ output: product(a, b, ta, tb), saved: [a, b] }),
    backward: (gradient, [needsA, needsB]) => {
      const dy = gradient.value();
      return [
        needsA === true ? sumTo(ta ? product(b, dy, tb, true) : product(dy, b, false, !tb), a.shape) : undefined,
        needsB === true ? sumTo(tb ? product(dy, a, true, ta) : product(a, dy, !ta, false), b.shape) : undefined,
      ];
    },
  });
}

/** Stacks that fit neither each other nor a single matrix are laid out whole: not every back-end broadcasts them. */
function product(a: Tensor, b: Tensor, ta: boolean, tb: boolean): Tensor {
  const [of, by] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
  const whole = tf.util.arraysEqual(of, by) || [of, by].some((leading) => tf.util.sizeFromShape(leading) === 1);
  if (whole) return tf.matMul(a, b, ta, tb);
  const leading = tf.broadcast_util.assertAndGetBroadcastShape(of, by);
  const laid = (x: Tensor): Tensor => tf.broadcastTo(x, [...leading, ...x.shape.slice(-2)]);
  return tf.matMul(laid(a), laid(b), ta, tb);
}

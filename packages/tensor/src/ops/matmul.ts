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
    forward: () => ({ output: tf.matMul(a, b, ta, tb), saved: [a, b] }),
    backward: (gradient, [needsA, needsB]) => {
      const dy = gradient.value();
      return [
        needsA === true ? sumTo(ta ? tf.matMul(b, dy, tb, true) : tf.matMul(dy, b, false, !tb), a.shape) : undefined,
        needsB === true ? sumTo(tb ? tf.matMul(dy, a, true, ta) : tf.matMul(a, dy, !ta, false), b.shape) : undefined,
      ];
    },
  });
}

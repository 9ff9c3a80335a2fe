import { DeftError } from "../errors.ts";
import type { OnDecision } from "../kernels.ts";
import { output, runKernel } from "../run-kernel.ts";
import { differentiable } from "../tape.ts";
import { tf, type Tensor } from "../tfjs.ts";
import { linear, rows, rowSum } from "./linear.ts";

/** Options of `selectedLinear`. */
export interface SelectedLinearOptions {
  /** s, [..., dOut]: output j of a row is wanted where |s_j| > threshold. */
  readonly select: Tensor;
  /** 0 when left out: what is not 0 is wanted. */
  readonly threshold?: number | undefined;
  /** b, [dOut]. */
  readonly bias?: Tensor | undefined;
  /** The weight never changes while it lives. */
  readonly frozen?: boolean;
  /** The largest share of wanted outputs at which a back-end leaves the others out. */
  readonly breakEven: number;
  /** Told of each call's decision, where the back-end makes one. */
  readonly onDecision?: OnDecision | undefined;
}

/**
 * y_j = x·W_j + b_j where |s_j| > threshold, and 0 elsewhere: a linear layer of which each row wants some outputs alone. A back-end with the kernel neither reads
 * the rows of W that nobody wants nor multiplies by them; elsewhere the product is dense and the rest is put to 0, so that the value is the same.
 * The gradient flows to x, W and b through the wanted outputs; none to s.
 * @param x [..., dIn]
 * @param weight W, [dOut, dIn]: a row for each output, as files hold it
 * @returns y [..., dOut]
 * @throws DeftError `tensor.selected` when threshold or breakEven are out of range
 */
export function selectedLinear(x: Tensor, weight: Tensor, options: SelectedLinearOptions): Tensor {
  const { select, bias, threshold = 0, frozen = false, breakEven, onDecision } = options;
  check(threshold >= 0 && Number.isFinite(threshold), "threshold must be at least 0", threshold);
  check(breakEven >= 0 && breakEven <= 1, "breakEven must be in [0, 1]", breakEven);
  return differentiable({
    name: "selectedLinear",
    inputs: bias === undefined ? [x, weight] : [x, weight, bias],
    forward: () => {
      const saved = [x, weight, select];
      const fused = runKernel("DeftSelectedLinear", { x, weight, select, bias }, { frozen, breakEven, threshold, onDecision });
      if (fused === undefined) return { output: keepSelected(linear(x, weight, { bias, transposed: true, frozen }), { select, threshold }), saved };
      return { output: output(fused, 0, "DeftSelectedLinear"), saved };
    },
    backward: (gradient, needs) => {
      const dy = gradient.value();
      const dz = rows(where(dy, select, threshold));
      return [
        needs[0] === true ? tf.reshape(tf.matMul(dz, weight), x.shape) : undefined,
        needs[1] === true ? tf.matMul(dz, rows(x), true, false) : undefined,
        needs[2] === true ? rowSum(dz) : undefined,
      ];
    },
  });
}

/**
 * y where |s| > threshold, and 0 elsewhere: what `selectedLinear` leaves of outputs that were computed otherwise. The gradient flows where they are wanted.
 * @param y of the shape of s
 */
export function keepSelected(y: Tensor, { select, threshold = 0 }: Pick<SelectedLinearOptions, "select" | "threshold">): Tensor {
  return differentiable({
    name: "keepSelected",
    inputs: [y],
    forward: () => ({ output: where(y, select, threshold), saved: [select] }),
    backward: (dy) => [where(dy.value(), select, threshold)],
  });
}

/** NaN in s is wanted. */
function where(y: Tensor, select: Tensor, threshold: number): Tensor {
  return tf.where(tf.lessEqual(tf.abs(select), threshold), tf.zerosLike(y), y);
}

function check(holds: boolean, rule: string, got: number): void {
  if (!holds) throw new DeftError("tensor.selected", `selectedLinear: ${rule}, got ${got}. Correct it.`);
}

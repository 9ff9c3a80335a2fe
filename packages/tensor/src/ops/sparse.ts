import { DeftError } from "../errors.ts";
import type { OnDecision } from "../kernels.ts";
import { output, runKernel } from "../run-kernel.ts";
import { differentiable } from "../tape.ts";
import { tf, type Tensor } from "../tfjs.ts";
import { linear, rows, rowSum } from "./linear.ts";

/** Which entries of a row count. */
export interface SkipOptions {
  /** Entries with |x| at most this are taken for 0; 0 when left out: then nothing but zeros is skipped. */
  readonly threshold?: number | undefined;
  /** Of each row the so many largest magnitudes count, and those equal to the least of them; all when left out. */
  readonly keep?: number | undefined;
}

/** Options of `sparseLinear`. */
export interface SparseLinearOptions extends SkipOptions {
  /** b, [dOut]. */
  readonly bias?: Tensor | undefined;
  /** The weight is stored [dOut, dIn]. */
  readonly transposed?: boolean;
  /** The weight never changes while it lives. */
  readonly frozen?: boolean;
  /** The largest share of entries that count at which a back-end skips the others; see the measured break-even points of whoever calls. */
  readonly breakEven: number;
  /** Told of each call's decision, where the back-end makes one. */
  readonly onDecision?: OnDecision | undefined;
}

/**
 * y = x'·W + b, where x' is x without the entries that do not count: the value of `linear` up to rounding when nothing but zeros is skipped. A back-end with the
 * kernel leaves out the rows of W at zeros; elsewhere the product is dense. Where x is 0 an infinite or NaN weight does not come through.
 * The gradient flows to x where it counts, to W and b as in `linear`.
 * @param x [..., dIn]
 * @param weight W, [dIn, dOut], or [dOut, dIn] when `transposed`
 * @returns y [..., dOut]
 * @throws DeftError `tensor.sparse` when threshold, keep or breakEven are out of range
 */
export function sparseLinear(x: Tensor, weight: Tensor, options: SparseLinearOptions): Tensor {
  const { bias, transposed = false, frozen = false, breakEven, threshold = 0, keep = 0, onDecision } = options;
  check(threshold >= 0 && Number.isFinite(threshold), "threshold must be at least 0", threshold);
  check(Number.isInteger(keep) && keep >= 0, "keep must be a whole number", keep);
  check(breakEven >= 0 && breakEven <= 1, "breakEven must be in [0, 1]", breakEven);
  const dense = (input: Tensor): Tensor => linear(skipSmall(input, { threshold, keep }), weight, { bias, transposed, frozen });
  return differentiable({
    name: "sparseLinear",
    inputs: bias === undefined ? [x, weight] : [x, weight, bias],
    forward: () => {
      const fused = runKernel("DeftSparseLinear", { x, weight, bias }, { transposed, frozen, breakEven, threshold, keep, onDecision });
      if (fused === undefined) return { output: dense(x), saved: [x, weight] };
      return { output: output(fused, 0, "DeftSparseLinear"), saved: [x, weight] };
    },
    backward: (gradient, needs) => gradients(gradient.value(), { x, weight, transposed, threshold, keep }, needs),
  });
}

interface Saved extends SkipOptions {
  readonly x: Tensor;
  readonly weight: Tensor;
  readonly transposed: boolean;
}

function gradients(dy: Tensor, { x, weight, transposed, ...skip }: Saved, needs: readonly boolean[]): (Tensor | undefined)[] {
  const dx = (): Tensor => tf.mul(tf.reshape(tf.matMul(rows(dy), weight, false, !transposed), x.shape), counts(x, skip));
  const dw = (): Tensor => {
    const counted = rows(tf.mul(x, counts(x, skip)));
    return transposed ? tf.matMul(rows(dy), counted, true, false) : tf.matMul(counted, rows(dy), true, false);
  };
  return [needs[0] === true ? dx() : undefined, needs[1] === true ? dw() : undefined, needs[2] === true ? rowSum(dy) : undefined];
}

/**
 * x without the entries that do not count, 0 in their place. The gradient flows where they count.
 * @param x [..., n]
 */
export function skipSmall(x: Tensor, skip: SkipOptions): Tensor {
  const { threshold = 0, keep = 0 } = skip;
  if (threshold === 0 && (keep === 0 || keep >= (x.shape.at(-1) ?? 0))) return x;
  return differentiable({
    name: "skipSmall",
    inputs: [x],
    forward: () => ({ output: tf.where(tf.greater(counts(x, skip), 0), x, tf.zerosLike(x)), saved: [x] }),
    backward: (dy) => [tf.mul(dy.value(), counts(x, skip))],
  });
}

/** 1 where an entry counts, 0 elsewhere; NaN counts. */
function counts(x: Tensor, { threshold = 0, keep = 0 }: SkipOptions): Tensor {
  if (threshold === 0 && keep === 0) return tf.onesLike(x);
  const size = tf.abs(x);
  const above = tf.logicalNot(tf.lessEqual(size, threshold));
  const n = x.shape.at(-1) ?? 0;
  if (keep === 0 || keep >= n) return tf.cast(above, "float32");
  const least = tf.slice(tf.topk(rows(size), keep).values, [0, keep - 1], [-1, 1]); // [rows, 1]
  const large = tf.reshape(tf.logicalNot(tf.less(rows(size), least)), x.shape);
  return tf.cast(tf.logicalAnd(above, large), "float32");
}

function check(holds: boolean, rule: string, got: number): void {
  if (!holds) throw new DeftError("tensor.sparse", `sparseLinear: ${rule}, got ${got}. Correct it.`);
}

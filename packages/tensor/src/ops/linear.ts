import type { ActivationKind } from "../kernels.ts";
import { output, runKernel } from "../run-kernel.ts";
import { differentiable, isTracked } from "../tape.ts";
import { tf, type Tensor } from "../tfjs.ts";
import { activate, activationGradient, remakeActivation, type SlopeSource } from "./activation.ts";
import { demandShape, demandType, demandWidth } from "./check.ts";
import { derivesFromOutput } from "./composed-activation.ts";
import { addTo } from "./elementwise.ts";

/**
 * The elements up to which an activation's slope is saved in place of its input: going back then takes no exponentials, but a density loss holds the activation itself, too, which it
 * would otherwise make again.
 */
const SLOPES = 2 ** 22;

/** Options of `linear`. */
export interface LinearOptions {
  /** b, [dOut]. */
  readonly bias?: Tensor | undefined;
  /** f, applied to x·W + b; none when left out. */
  readonly activation?: ActivationKind | undefined;
  /** The weight is stored [dOut, dIn]. */
  readonly transposed?: boolean;
  /** The weight never changes while it lives: a back-end may pack it once. */
  readonly frozen?: boolean;
}

/**
 * y = f(x·W + b).
 * @param x [..., dIn]
 * @param weight W, [dIn, dOut], or [dOut, dIn] when `transposed`
 * @returns y [..., dOut]
 * @throws DeftError `tensor.shape`, `tensor.dtype`
 */
export function linear(x: Tensor, weight: Tensor, options: LinearOptions = {}): Tensor {
  const { bias, activation, transposed = false, frozen = false } = options;
  const [rowsHeld = 0, columnsHeld = 0] = weight.shape;
  demandType("linear", "x", x, "float32");
  demandWidth("linear", "x", x, transposed ? columnsHeld : rowsHeld);
  demandShape("linear", "bias", bias, [transposed ? rowsHeld : columnsHeld]);
  const inputs = bias === undefined ? [x, weight] : [x, weight, bias];
  let source: SlopeSource | undefined;
  return differentiable({
    name: "linear",
    inputs,
    forward: (recording) => {
      const made = forward(x, weight, { bias, activation, transposed, frozen }, recording);
      source = made.source;
      const needsX = isTracked(weight) ? [x] : [];
      const saved = [...needsX, weight];
      if (activation === undefined || source === undefined) return { output: made.y, saved };
      return "slope" in source ? { output: made.y, saved: [...saved, source.slope] } : { output: made.y, saved: [...saved, source.at], remake: remakeActivation(source.at, activation) };
    },
    backward: (gradient, needs, sumSoFar) => {
      const dz = activation === undefined || source === undefined ? gradient.value() : activationGradient(gradient, source, activation);
      return [
        needs[0] === true ? inputGradient(dz, weight, { transposed, frozen, shape: x.shape, sum: sumSoFar(0) }) : undefined,
        needs[1] === true ? weightGradient(x, dz, transposed) : undefined,
        needs[2] === true ? rowSum(dz) : undefined,
      ];
    },
  });
}

interface Forward {
  readonly y: Tensor;
  /** Of a layer with an activation, while a gradient is recorded. */
  readonly source: SlopeSource | undefined;
}

function forward(x: Tensor, weight: Tensor, options: LinearOptions, recording: boolean): Forward {
  const { bias, activation, transposed = false, frozen = false } = options;
  const dOut = weight.shape[transposed ? 0 : 1] ?? 0;
  const byOutput = activation === undefined || derivesFromOutput(activation);
  const save = !recording || byOutput ? undefined : rowsOf(x) * dOut <= SLOPES ? "slope" : "pre";
  const sourceOf = (y: Tensor, pre: Tensor | undefined): SlopeSource | undefined => {
    const at = byOutput ? y : pre;
    return activation === undefined || at === undefined ? undefined : { at };
  };
  const fused = runKernel("DeftLinear", { x, weight, bias }, { activation: activation ?? "identity", transposed, frozen, save });
  if (fused !== undefined) {
    const y = output(fused, 0, "DeftLinear");
    return { y, source: save === "slope" ? { slope: output(fused, 1, "DeftLinear") } : sourceOf(y, fused[1]) };
  }
  const z = product(rows(x), weight, false, transposed);
  const pre = tf.reshape(bias === undefined ? z : tf.add(z, bias), [...x.shape.slice(0, -1), z.shape[1] ?? 0]);
  const y = activation === undefined ? pre : activate(pre, activation);
  return { y, source: sourceOf(y, pre) };
}

/** The number of vectors along the last axis. */
function rowsOf(x: Tensor): number {
  const last = x.shape.at(-1) ?? 1;
  return last === 0 ? 0 : x.size / last;
}

interface InputGradientOptions {
  readonly transposed: boolean;
  readonly frozen: boolean;
  /** Of x. */
  readonly shape: number[];
  /** What the gradient is added to; its memory may be taken for the result. */
  readonly sum: Tensor | undefined;
}

function inputGradient(dz: Tensor, weight: Tensor, { transposed, frozen, shape, sum }: InputGradientOptions): Tensor {
  const fused = runKernel("DeftLinearInputGradient", { dy: dz, weight, sum }, { transposed, frozen });
  return fused === undefined ? addTo(sum, tf.reshape(product(rows(dz), weight, false, !transposed), shape)) : output(fused, 0, "DeftLinearInputGradient");
}

function weightGradient(x: Tensor, dz: Tensor, transposed: boolean): Tensor {
  const fused = runKernel("DeftLinearWeightGradient", { x, dy: dz }, { transposed });
  if (fused !== undefined) return output(fused, 0, "DeftLinearWeightGradient");
  return transposed ? product(rows(dz), rows(x), true, false) : product(rows(x), rows(dz), true, false);
}

/** Σ over all axes but the last. */
export function rowSum(dz: Tensor): Tensor {
  const fused = runKernel("DeftRowSum", { dy: dz }, {});
  if (fused !== undefined) return output(fused, 0, "DeftRowSum");
  const flat = rows(dz);
  return flat.shape[0] === 0 ? tf.zeros([flat.shape[1] ?? 0]) : tf.sum(flat, 0); // tfjs's WebGPU cannot sum over nothing
}

/** a·b of matrices; zeros where the inner axis is empty, which tfjs's WebAssembly leaves unwritten. */
function product(a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean): Tensor {
  const [m = 0, k = 0] = transposeA ? [...a.shape].reverse() : a.shape;
  return k === 0 ? tf.zeros([m, b.shape[transposeB ? 0 : 1] ?? 0]) : tf.matMul(a, b, transposeA, transposeB);
}

/** A view as a matrix: all leading axes folded into one. */
export function rows(x: Tensor): Tensor {
  return x.shape.length === 2 ? x : tf.reshape(x, [rowsOf(x), x.shape.at(-1) ?? 1]);
}

/** Options of `lowRank`. */
export interface LowRankOptions {
  /** A, [dIn, rank]. */
  readonly down: Tensor;
  /** B, [rank, dOut]. */
  readonly up: Tensor;
  /** s, the factor of the branch. */
  readonly scale: number;
}

/**
 * y = base + s·(x·A)·B, the low-rank branch beside a linear layer (Hu et al., 2021, arXiv:2106.09685, equation 3).
 * @param x [..., dIn]
 * @param base [..., dOut]
 * @returns y [..., dOut]
 * @throws DeftError `tensor.shape`
 */
export function lowRank(x: Tensor, base: Tensor, options: LowRankOptions): Tensor {
  const { down, up, scale } = options;
  const [dIn = 0, rank = 0] = down.shape;
  const dOut = base.shape.at(-1) ?? 0;
  demandWidth("lowRank", "x", x, dIn);
  demandShape("lowRank", "up", up, [rank, dOut]);
  demandShape("lowRank", "base", base, [...x.shape.slice(0, -1), dOut]);
  let xa: Tensor;
  return differentiable({
    name: "lowRank",
    inputs: [x, base, down, up],
    forward: () => {
      const fused = runKernel("DeftLowRank", { x, base, down, up }, { scale });
      if (fused !== undefined) {
        xa = output(fused, 1, "DeftLowRank");
        return { output: output(fused, 0, "DeftLowRank"), saved: [x, down, up, xa] };
      }
      xa = tf.matMul(rows(x), down);
      const branch = tf.mul(tf.matMul(xa, up), scale);
      return { output: tf.add(base, tf.reshape(branch, base.shape)), saved: [x, down, up, xa] };
    },
    backward: (gradient, [needsX, needsBase], sumSoFar) => {
      const dy = gradient.value();
      const [dDown, dUp, dx] = lowRankGradient({ x, xa, dy, needsX: needsX === true, sum: needsX === true ? sumSoFar(0) : undefined }, options);
      return [dx, needsBase === true ? dy : undefined, dDown, dUp];
    },
  });
}

interface LowRankBackward {
  readonly x: Tensor;
  readonly xa: Tensor;
  readonly dy: Tensor;
  readonly needsX: boolean;
  /** What dx is added to; its memory may be taken for the result. */
  readonly sum: Tensor | undefined;
}

function lowRankGradient({ x, xa, dy, needsX, sum }: LowRankBackward, { down, up, scale }: LowRankOptions): [dDown: Tensor, dUp: Tensor, dx: Tensor | undefined] {
  const fused = runKernel("DeftLowRankGradient", { x, xa, dy, down, up, sum }, { scale, needsX });
  if (fused !== undefined) return [output(fused, 0, "DeftLowRankGradient"), output(fused, 1, "DeftLowRankGradient"), fused[2]];
  const dScaled = tf.mul(rows(dy), scale);
  const dxa = tf.matMul(dScaled, up, false, true);
  const dx = needsX ? addTo(sum, tf.reshape(tf.matMul(dxa, down, false, true), x.shape)) : undefined;
  return [tf.matMul(rows(x), dxa, true, false), tf.matMul(xa, dScaled, true, false), dx];
}

import { output, runKernel } from "../run-kernel.ts";
import { differentiable, type InputGradient } from "../tape.ts";
import { tf, type Tensor } from "../tfjs.ts";
import { demandShape } from "./check.ts";
import { addTo } from "./elementwise.ts";
import { rows, rowSum } from "./linear.ts";

/** Options of `layerNorm`. */
export interface LayerNormOptions {
  /** γ, [n]. */
  readonly gamma: Tensor;
  /** β, [n]. */
  readonly beta: Tensor;
  /** ε inside the root. */
  readonly epsilon: number;
  /** Added to x first. */
  readonly residual?: Tensor | undefined;
}

/** Options of `rmsNorm`. */
export type RmsNormOptions = Omit<LayerNormOptions, "beta">;

interface Statistics {
  readonly z: Tensor;
  readonly mean: Tensor;
  readonly rstd: Tensor;
}

/**
 * y = γ·(z − mean z)/√(var z + ε) + β over the last axis, z = x + residual; the variance divides by n (Ba et al., 2016).
 * @param x [..., n]
 * @throws DeftError `tensor.shape`
 */
export function layerNorm(x: Tensor, options: LayerNormOptions): Tensor {
  return norm("layer", x, options);
}

/** y = γ·z/√(mean z² + ε) over the last axis, z = x + residual, as in T5 (Zhang & Sennrich, 2019). */
export function rmsNorm(x: Tensor, options: RmsNormOptions): Tensor {
  return norm("rms", x, options);
}

function norm(kind: "layer" | "rms", x: Tensor, options: RmsNormOptions & { beta?: Tensor }): Tensor {
  const { gamma, beta, epsilon, residual } = options;
  const name = kind === "layer" ? "layerNorm" : "rmsNorm";
  const parameter = [x.shape.at(-1) ?? 0];
  demandShape(name, "gamma", gamma, parameter);
  demandShape(name, "beta", beta, parameter);
  demandShape(name, "residual", residual, x.shape);
  const inputs = [x, gamma, beta, residual].filter((t) => t !== undefined);
  let s: Statistics;
  return differentiable({
    name,
    inputs,
    forward: () => {
      const fused = runKernel("DeftNorm", { x, residual, gamma, beta }, { kind, epsilon });
      let y: Tensor;
      if (fused === undefined) [y, s] = composed(kind, x, options);
      else {
        y = output(fused, 0, "DeftNorm");
        s = { z: residual === undefined ? x : output(fused, 3, "DeftNorm"), mean: output(fused, 1, "DeftNorm"), rstd: output(fused, 2, "DeftNorm") };
      }
      return { output: y, saved: [s.z, s.mean, s.rstd, gamma] };
    },
    backward: (gradient, needs, sumSoFar) => {
      const parameters = needs[1] === true || (beta !== undefined && needs[2] === true);
      const dy = gradient.value();
      const sum = residual === undefined && needs[0] === true ? sumSoFar(0) : undefined; // dz is the gradient by the residual, too
      const { dz, dGamma, dBeta } = normGradient({ kind, dy, sum, gamma, parameters, ...s });
      const all: InputGradient[] = [dz, dGamma];
      if (beta !== undefined) all.push(dBeta);
      if (residual !== undefined) all.push(dz);
      return all;
    },
  });
}

function composed(kind: "layer" | "rms", x: Tensor, options: RmsNormOptions & { beta?: Tensor }): [Tensor, Statistics] {
  const z = options.residual === undefined ? x : tf.add(x, options.residual);
  const m = kind === "layer" ? tf.mean(z, -1, true) : tf.zeros([...z.shape.slice(0, -1), 1]);
  const centred = kind === "layer" ? tf.sub(z, m) : z;
  const rstd = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), options.epsilon));
  const scaled = tf.mul(tf.mul(centred, rstd), options.gamma);
  const flat = z.size / (z.shape.at(-1) ?? 1);
  return [options.beta === undefined ? scaled : tf.add(scaled, options.beta), { z, mean: tf.reshape(m, [flat]), rstd: tf.reshape(rstd, [flat]) }];
}

interface NormGradients {
  readonly dz: Tensor;
  readonly dGamma?: Tensor | undefined;
  readonly dBeta?: Tensor | undefined;
}

interface NormBackward extends Statistics {
  readonly kind: "layer" | "rms";
  readonly dy: Tensor;
  /** What dz is added to; its memory may be taken for the result. */
  readonly sum: Tensor | undefined;
  readonly gamma: Tensor;
  /** Whether γ and β need gradients. */
  readonly parameters: boolean;
}

function normGradient({ kind, dy, sum, z, mean, rstd, gamma, parameters }: NormBackward): NormGradients {
  const fused = runKernel("DeftNormGradient", { dy, z, gamma, mean, rstd, sum }, { kind, parameters });
  if (fused !== undefined) return { dz: output(fused, 0, "DeftNormGradient"), dGamma: fused[1], dBeta: fused[2] };
  const column = [rstd.size, 1];
  const scale = tf.reshape(rstd, column);
  const xhat = tf.mul(tf.sub(rows(z), tf.reshape(mean, column)), scale);
  const g = tf.mul(rows(dy), gamma);
  const along = tf.mul(xhat, tf.mean(tf.mul(g, xhat), -1, true));
  const inner = tf.sub(kind === "layer" ? tf.sub(g, tf.mean(g, -1, true)) : g, along);
  return {
    dz: addTo(sum, tf.reshape(tf.mul(inner, scale), z.shape)),
    dGamma: parameters ? rowSum(tf.mul(rows(dy), xhat)) : undefined,
    dBeta: parameters && kind === "layer" ? rowSum(dy) : undefined,
  };
}

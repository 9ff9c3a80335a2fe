import { runKernel } from "../run-kernel.ts";
import { scope } from "../scope.ts";
import { tf, type Tensor } from "../tfjs.ts";
import { demandShape } from "./check.ts";
import type { Variable } from "../variable.ts";

/** The numbers of one AdamW step. */
export interface AdamWStep {
  /** η of this step. */
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** λ, decoupled. */
  readonly weightDecay: number;
  /** t, counted from 1. */
  readonly step: number;
}

/** One parameter with its moments. */
export interface AdamWParameter {
  readonly value: Variable;
  /** m, the running mean of the gradient. */
  readonly first: Variable;
  /** v, the running mean of its square. */
  readonly second: Variable;
}

/**
 * One step of AdamW (Loshchilov & Hutter, 2019), in PyTorch's order: p ← p(1 − ηλ); m ← β₁m + (1−β₁)g; v ← β₂v + (1−β₂)g²;
 * p ← p − η/(1−β₁ᵗ) · m/(√v/√(1−β₂ᵗ) + ε).
 * @throws DeftError `tensor.shape`
 */
export function adamWStep({ value, first, second }: AdamWParameter, gradient: Tensor, attrs: AdamWStep): void {
  demandShape("adamW", `the gradient of ${value.path}`, gradient, value.shape);
  for (const variable of [value, first, second]) ownData(variable);
  if (runKernel("DeftAdamW", { value: value.value, m: first.value, v: second.value, gradient }, { ...attrs }) !== undefined) return;
  const { learningRate, beta1, beta2, epsilon, weightDecay, step } = attrs;
  const next = scope(() => {
    const m = tf.add(tf.mul(first.value, beta1), tf.mul(gradient, 1 - beta1));
    const v = tf.add(tf.mul(second.value, beta2), tf.mul(tf.square(gradient), 1 - beta2));
    const root = tf.add(tf.div(tf.sqrt(v), Math.sqrt(1 - beta2 ** step)), epsilon);
    const decayed = tf.mul(value.value, 1 - learningRate * weightDecay);
    return { m, v, p: tf.sub(decayed, tf.mul(tf.div(m, root), learningRate / (1 - beta1 ** step))) };
  });
  first.assign(next.m);
  second.assign(next.v);
  value.assign(next.p);
}

/** A kernel writes a variable's values in place: other handles on them (`clone`, `reshape`) keep what they show. */
function ownData(variable: Variable): void {
  if (tf.backend().refCount(variable.value.dataId) > 1) variable.assign(scope(() => tf.mul(variable.value, 1)));
}

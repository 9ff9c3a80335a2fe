import { keeps } from "../random.ts";
import { output, runKernel } from "../run-kernel.ts";
import { differentiable } from "../tape.ts";
import { tf, type Tensor } from "../tfjs.ts";

/** Options of `dropout`. */
export interface DropoutOptions {
  /** The probability of dropping an element, in [0, 1). */
  readonly probability: number;
  /** The stream of random bits: the same seed drops the same elements. */
  readonly seed: number;
}

/** keep/(1 − p) for every element: 0 where dropped. */
export function dropoutFactors(shape: readonly number[], { probability, seed }: DropoutOptions): Tensor {
  const size = shape.reduce((n, d) => n * d, 1);
  const factor = 1 / (1 - probability);
  const values = new Float32Array(size);
  for (let i = 0; i < size; i++) values[i] = keeps(seed, i, probability) ? factor : 0;
  return tf.tensor(values, [...shape], "float32");
}

/** y = x·keep/(1 − p) with keep ∈ {0, 1} drawn by (seed, index) (Srivastava et al., 2014). */
export function dropout(x: Tensor, options: DropoutOptions): Tensor {
  if (options.probability === 0) return x;
  return differentiable({
    name: "dropout",
    inputs: [x],
    forward: () => ({ output: drop(x, options) }),
    backward: (dy) => [drop(dy.value(), options)],
  });
}

function drop(x: Tensor, options: DropoutOptions): Tensor {
  const fused = runKernel("DeftDropout", { x }, { ...options });
  return fused === undefined ? tf.mul(x, dropoutFactors(x.shape, options)) : output(fused, 0, "DeftDropout");
}

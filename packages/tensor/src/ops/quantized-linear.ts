import { dequantizedRows, type QuantizedMatrix } from "../quantized-matrix.ts";
import { output, runKernel } from "../run-kernel.ts";
import { differentiable } from "../tape.ts";
import { tf, type Tensor } from "../tfjs.ts";
import { demandShape, demandWidth } from "./check.ts";
import { rows, rowSum } from "./linear.ts";

/** The most elements of W that are dense at a time where a back-end has no kernel of its own: 4 MiB. */
const TILE = 2 ** 20;

/**
 * y = x·Wᵀ + b with W [dOut, dIn] held in few bits; W is constant. Never holds the whole dense matrix: a back-end's kernel takes W apart block by
 * block, and without one a tile of rows at a time is dense.
 * @param x [..., dIn]
 * @returns y [..., dOut]
 * @throws DeftError `tensor.shape`
 */
export function quantizedLinear(x: Tensor, matrix: QuantizedMatrix, options: { readonly bias?: Tensor | undefined } = {}): Tensor {
  const { bias } = options;
  demandWidth("quantizedLinear", "x", x, matrix.dIn);
  demandShape("quantizedLinear", "bias", bias, [matrix.dOut]);
  return differentiable({
    name: "quantizedLinear",
    inputs: bias === undefined ? [x] : [x, bias],
    forward: () => ({ output: forward(x, matrix, bias) }),
    backward: (gradient, needs) => {
      const dy = gradient.value();
      return [needs[0] === true ? inputGradient(dy, matrix, x.shape) : undefined, needs[1] === true ? rowSum(dy) : undefined];
    },
  });
}

function forward(x: Tensor, matrix: QuantizedMatrix, bias: Tensor | undefined): Tensor {
  const fused = runKernel("DeftQuantizedLinear", { x, bias }, { matrix });
  if (fused !== undefined) return output(fused, 0, "DeftQuantizedLinear");
  const flat = rows(x);
  const parts = [...tiles(matrix)].map(([begin, end]) => tf.tidy(() => tf.matMul(flat, tile(matrix, begin, end), false, true)));
  const product = tf.concat(parts, 1);
  return tf.reshape(bias === undefined ? product : tf.add(product, bias), [...x.shape.slice(0, -1), matrix.dOut]);
}

function inputGradient(dy: Tensor, matrix: QuantizedMatrix, shape: number[]): Tensor {
  const fused = runKernel("DeftQuantizedLinearInputGradient", { dy }, { matrix });
  if (fused !== undefined) return output(fused, 0, "DeftQuantizedLinearInputGradient");
  const flat = rows(dy);
  let sum: Tensor = tf.zeros([flat.shape[0] ?? 0, matrix.dIn]);
  for (const [begin, end] of tiles(matrix)) {
    const before = sum;
    sum = tf.tidy(() => tf.add(before, tf.matMul(tf.slice(flat, [0, begin], [-1, end - begin]), tile(matrix, begin, end))));
    before.dispose();
  }
  return tf.reshape(sum, shape);
}

/** Ranges of rows of W, each of at most TILE elements or one row. */
function* tiles({ dOut, dIn }: QuantizedMatrix): Iterable<[begin: number, end: number]> {
  const height = Math.max(1, Math.floor(TILE / Math.max(1, dIn)));
  for (let begin = 0; begin < dOut; begin += height) yield [begin, Math.min(dOut, begin + height)];
}

/** [end − begin, dIn]. */
function tile(matrix: QuantizedMatrix, begin: number, end: number): tf.Tensor2D {
  return tf.tensor2d(dequantizedRows(matrix, begin, end), [end - begin, matrix.dIn]);
}

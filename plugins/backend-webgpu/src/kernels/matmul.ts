import { tf } from "@deft-js/tensor";
import { required, type TfjsKernel } from "../kernel.ts";
import { MOST_WORKGROUPS } from "../wgsl.ts";
import { multiply, type Operand } from "./product.ts";

/** A stack of matrices; one matrix serves for all of the other's. */
function stack(tensor: tf.TensorInfo, transposed: boolean): Operand & { readonly count: number; readonly rows: number; readonly columns: number } {
  const [rows = 0, columns = 0] = tensor.shape.slice(-2);
  const count = tf.util.sizeFromShape(tensor.shape.slice(0, -2));
  return { tensor, transposed, stride: columns, outer: count === 1 ? 0 : rows * columns, count, rows: transposed ? columns : rows, columns: transposed ? rows : columns };
}

/**
 * a·b over the last two axes, for float32 stacks of which one may be a single matrix; other broadcasting is left to tfjs. tfjs's own product adds the parts of a long inner axis
 * up atomically, in another order each time.
 */
export const batchMatMul: TfjsKernel = (compute, inputs, attrs) => {
  const [left, right] = [required(inputs, "a"), required(inputs, "b")];
  const [a, b] = [stack(left, attrs["transposeA"] === true), stack(right, attrs["transposeB"] === true)];
  const leading = tf.broadcast_util.assertAndGetBroadcastShape(left.shape.slice(0, -2), right.shape.slice(0, -2));
  const count = tf.util.sizeFromShape(leading);
  const paired = [a, b].every((operand) => operand.count === 1 || operand.count === count);
  if (!paired || count > MOST_WORKGROUPS || left.dtype !== "float32" || right.dtype !== "float32") return undefined;
  const [m, n, k] = [a.rows, b.columns, a.columns];
  const y = compute.make([...leading, m, n]);
  multiply(compute, { m, n, k, a, b, y: { tensor: y, stride: n, outer: m * n }, ...(count === 1 ? {} : { count }) });
  return y;
};

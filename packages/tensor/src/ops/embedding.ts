import { output, runKernel } from "../run-kernel.ts";
import { differentiable } from "../tape.ts";
import { tf, type Tensor } from "../tfjs.ts";
import { demandType } from "./check.ts";

/**
 * y[…] = table[ids[…]].
 * @param table [n, d]
 * @param ids int32 [...]
 * @returns [..., d]
 * @throws DeftError `tensor.dtype`
 */
export function embedding(table: Tensor, ids: Tensor): Tensor {
  demandType("embedding", "ids", ids, "int32");
  const [n = 0, d = 0] = table.shape;
  const flat = (): Tensor => tf.reshape(ids, [ids.size]);
  return differentiable({
    name: "embedding",
    inputs: [table],
    forward: () => {
      const fused = runKernel("DeftGather", { table, ids: flat() }, {});
      const taken = fused === undefined ? tf.gather(table, flat() as tf.Tensor1D) : output(fused, 0, "DeftGather");
      return { output: tf.reshape(taken, [...ids.shape, d]), saved: [ids] };
    },
    backward: (gradient) => {
      const dy = tf.reshape(gradient.value(), [ids.size, d]);
      const fused = runKernel("DeftScatterAdd", { ids: flat(), dy }, { size: n });
      if (fused !== undefined) return [output(fused, 0, "DeftScatterAdd")];
      const hits = tf.equal(tf.expandDims(flat(), 1), tf.range(0, n, 1, "int32")); // oneHot refuses a table of one row
      return [tf.matMul(tf.cast(hits, "float32"), dy, true, false)];
    },
  });
}

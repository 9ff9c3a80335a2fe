import { DeftError } from "../errors.ts";
import { output, runKernel } from "../run-kernel.ts";
import { differentiable } from "../tape.ts";
import { tf, type Tensor } from "../tfjs.ts";
import { demandType } from "./check.ts";

/**
 * y[…] = table[ids[…]].
 * @param table [n, d]
 * @param ids int32 [...]
 * @returns [..., d]
 * @throws DeftError `tensor.dtype`; `tensor.ids` for an id without a row; where the back-end cannot read ids before it is done (WebGPU) what is taken for it is NaN
 */
export function embedding(table: Tensor, ids: Tensor): Tensor {
  demandType("embedding", "ids", ids, "int32");
  const [n = 0, d = 0] = table.shape;
  const flat = (): Tensor => tf.reshape(ids, [ids.size]);
  return differentiable({
    name: "embedding",
    inputs: [table],
    forward: () => {
      return { output: tf.reshape(gathered(table, flat()), [...ids.shape, d]), saved: [ids] };
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

/** The rows of the ids, by the back-end's own kernel; what that refuses is said as everywhere else. */
function gathered(table: Tensor, ids: Tensor): Tensor {
  const rows = table.shape[0] ?? 0;
  try {
    const fused = runKernel("DeftGather", { table, ids }, {});
    if (fused !== undefined) return output(fused, 0, "DeftGather");
  } catch (error) {
    checkIds(ids.dataSync(), rows);
    throw error;
  }
  checkIds(ids.dataSync(), rows);
  return tf.gather(table, ids as tf.Tensor1D);
}

function checkIds(ids: ArrayLike<number>, rows: number): void {
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] as number;
    if (!(id >= 0 && id < rows)) throw new DeftError("tensor.ids", `embedding: ids must lie in [0, ${rows}), got ${id} at ${i}. Use the tokenizer that belongs to the model.`);
  }
}

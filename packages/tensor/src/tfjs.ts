/** The one import of tfjs in the toolkit: a second resolved copy would be a second engine with other back-ends. */
import * as tf from "@tensorflow/tfjs-core";
import { MathBackendCPU } from "@tensorflow/tfjs-backend-cpu";

export { tf };
export type { Tensor } from "@tensorflow/tfjs-core";

/** tfjs's cpu back-end, which advertises another package at its first use: the toolkit says so itself in `deft doctor`. */
function quietCpu(): MathBackendCPU {
  const backend = new MathBackendCPU();
  (backend as unknown as { firstUse: boolean }).firstUse = false;
  return backend;
}

tf.removeBackend("cpu");
tf.registerBackend("cpu", quietCpu, 1);

/** The one import of tfjs in the toolkit: a second resolved copy would be a second engine with other back-ends. */
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";

export { tf };
export type { Tensor } from "@tensorflow/tfjs-core";

/** tfjs's cpu back-end advertises another package at its first use; the toolkit says so itself in `deft doctor`. */
(tf.findBackend("cpu") as unknown as { firstUse: boolean }).firstUse = false;

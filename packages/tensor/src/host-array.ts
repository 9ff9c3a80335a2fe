import { tf } from "./tfjs.ts";

/** A back-end that has memory of its own for large arrays on the host. */
export interface HostMemory {
  /** An array with arbitrary contents. */
  hostArray(length: number): Float32Array;
}

/**
 * A float32 array that is about to be filled and become a tensor, with arbitrary contents: from the back-end where it has a faster way to fresh memory than the runtime's, whose
 * pages are brought in one by one as they are first written. Once it is a tensor nobody else may use it.
 */
export function hostArray(length: number): Float32Array {
  const backend = tf.backend() as Partial<HostMemory>;
  return backend.hostArray?.(length) ?? new Float32Array(length);
}

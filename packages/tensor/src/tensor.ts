import { runPlain } from "./run-kernel.ts";
import { tf, type Tensor } from "./tfjs.ts";

/** A float32 tensor from host values. */
export function tensor(values: Float32Array | readonly number[], shape: readonly number[]): Tensor {
  return tf.tensor(values instanceof Float32Array ? values : Float32Array.from(values), [...shape], "float32");
}

/** An int32 tensor from host values. */
export function intTensor(values: Int32Array | readonly number[], shape: readonly number[]): Tensor {
  return tf.tensor(values instanceof Int32Array ? values : Int32Array.from(values), [...shape], "int32");
}

/** A float32 scalar. */
export function scalar(value: number): Tensor {
  return tf.scalar(value, "float32");
}

/** Zeros of a shape. */
export function zeros(shape: readonly number[]): Tensor {
  return tf.zeros([...shape], "float32");
}

/** Ones of a shape. */
export function ones(shape: readonly number[]): Tensor {
  return tf.ones([...shape], "float32");
}

/** One number all over a shape. */
export function fill(shape: readonly number[], value: number): Tensor {
  return runPlain(tf.Fill, {}, { shape: [...shape], value, dtype: "float32" }) ?? tf.fill([...shape], value, "float32");
}

/** A copy of the values on the host, read at once. */
export function read(x: Tensor): Float32Array {
  return copied(x.dataSync());
}

/** A copy of the values on the host, read without blocking where the back-end can. */
export async function readAsync(x: Tensor): Promise<Float32Array> {
  return copied(await x.data());
}

/** Some back-ends give their own memory, some integers under a float32 tensor. */
function copied(values: ArrayLike<number>): Float32Array {
  return values instanceof Float32Array ? values.slice() : Float32Array.from(values);
}

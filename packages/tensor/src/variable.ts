import { DeftError } from "./errors.ts";
import { tf, type Tensor } from "./tfjs.ts";

/** A named tensor that outlives scopes: a parameter of a model, of an attachment, or a moment of an optimizer. */
export class Variable {
  readonly path: string;
  readonly shape: readonly number[];
  /** Whether an optimizer may change it. Frozen parameters may be packed by a back-end. */
  trainable: boolean;
  #value: Tensor;

  constructor(path: string, initial: Tensor, options: { trainable?: boolean } = {}) {
    this.path = path;
    this.shape = initial.shape;
    this.trainable = options.trainable ?? true;
    this.#value = tf.keep(initial);
  }

  /** A variable from host values. */
  static from(path: string, values: Float32Array, shape: readonly number[], options?: { trainable?: boolean }): Variable {
    return new Variable(path, tf.tensor(values, [...shape], "float32"), options);
  }

  get value(): Tensor {
    return this.#value;
  }

  get size(): number {
    return this.#value.size;
  }

  /** Takes the place of the present value, which is disposed. Throws when the shapes differ. */
  assign(next: Tensor): void {
    if (next.shape.length !== this.shape.length || next.shape.some((n, i) => n !== this.shape[i]))
      throw new DeftError("tensor.shape", `variable ${this.path}: shape must be [${this.shape}], got [${next.shape}]. Pass a tensor of that shape.`);
    if (next === this.#value) return;
    this.#value.dispose();
    this.#value = tf.keep(next);
  }

  /** Takes host values. */
  load(values: Float32Array): void {
    if (values.length !== this.size)
      throw new DeftError("tensor.shape", `variable ${this.path}: needs ${this.size} values, got ${values.length}. Pass a tensor of shape [${this.shape}].`);
    this.assign(tf.tensor(values, [...this.shape], "float32"));
  }

  /** A copy of the values on the host. */
  data(): Float32Array {
    return Float32Array.from(this.#value.dataSync() as Float32Array);
  }

  dispose(): void {
    if (!this.#value.isDisposed) this.#value.dispose();
  }
}

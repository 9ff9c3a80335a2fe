import { DeftError, linear, reshape, type ActivationKind, type Tensor, type Variable } from "@deft-js/tensor";
import type { Weight } from "../contracts/weight.ts";

/** A float32 matrix as it is: the format that models are loaded in. Owns its variable. */
export class DenseWeight implements Weight {
  readonly shape: readonly [number, number];
  readonly format = "dense";
  /** W, [dIn, dOut]. */
  readonly variable: Variable;

  /** @throws DeftError `weight.shape` when the variable is not a matrix. */
  constructor(variable: Variable) {
    const [dIn, dOut] = variable.shape;
    if (variable.shape.length !== 2 || dIn === undefined || dOut === undefined)
      throw new DeftError("weight.shape", `dense weight ${variable.path}: must be a matrix, got shape [${variable.shape}]. Pass [dIn, dOut].`);
    this.shape = [dIn, dOut];
    this.variable = variable;
  }

  get bytes(): number {
    return this.variable.size * 4;
  }

  /** f(x·W + b) in one op; f is the identity when left out. */
  apply(x: Tensor, bias?: Tensor, activation?: ActivationKind): Tensor {
    return linear(x, this.variable.value, { bias, activation, frozen: !this.variable.trainable });
  }

  dense(): Tensor {
    return reshape(this.variable.value, this.shape);
  }

  dispose(): void {
    this.variable.dispose();
  }
}

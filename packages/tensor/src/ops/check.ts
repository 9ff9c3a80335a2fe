import { DeftError } from "../errors.ts";
import { tf, type Tensor } from "../tfjs.ts";

/** Kernels read by the shapes that they expect: refuses an operand of another one; one that is left out passes. Throws `tensor.shape`. */
export function demandShape(who: string, name: string, tensor: Tensor | undefined, expected: readonly number[]): void {
  if (tensor !== undefined && !tf.util.arraysEqual(tensor.shape, expected as number[])) throw misfit(who, `${name} must have the shape [${expected}], got [${tensor.shape}]`);
}

/** Refuses an operand whose last axis has another length. Throws `tensor.shape`. */
export function demandWidth(who: string, name: string, tensor: Tensor, width: number): void {
  if (tensor.shape[tensor.shape.length - 1] !== width) throw misfit(who, `${name} must have a last axis of ${width}, got the shape [${tensor.shape}]`);
}

/** Refuses an operand of another type. Throws `tensor.dtype`. */
export function demandType(who: string, name: string, tensor: Tensor, dtype: "float32" | "int32"): void {
  if (tensor.dtype !== dtype) throw new DeftError("tensor.dtype", `${who}: ${name} must be ${dtype}, got ${tensor.dtype}. Convert it first.`);
}

/** An error of operands that do not fit each other. */
export function misfit(who: string, rule: string): DeftError {
  return new DeftError("tensor.shape", `${who}: ${rule}. Pass operands that fit each other.`);
}

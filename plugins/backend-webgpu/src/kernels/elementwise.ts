import type { tf } from "@deft-js/tensor";
import type { Compute } from "../compute.ts";
import { required, sizeOf, type TfjsKernel } from "../kernel.ts";
import { elementGroups, perElement } from "../wgsl.ts";

/** How an operand is read for element i of the result. */
interface Side {
  readonly read: "[i]" | "[0]" | "number";
  readonly tensor: tf.TensorInfo;
}

/** a ∘ b for float32 operands of one shape, or of which one is a single number; tfjs does what else broadcasting allows, and what is still on the host. */
function binary(operator: "+" | "-" | "*" | "/"): TfjsKernel {
  return (compute, inputs) => {
    const [a, b] = [required(inputs, "a"), required(inputs, "b")];
    const shape = resultShape(a, b);
    if (shape === undefined || a.dtype !== "float32" || b.dtype !== "float32" || (compute.number(a) !== undefined && compute.number(b) !== undefined)) return undefined;
    if (!compute.onDevice(a) && !compute.onDevice(b)) return undefined;
    const [left, right] = [side(compute, a, shape), side(compute, b, shape)];
    const y = compute.make(shape);
    const size = sizeOf(y);
    compute.run({
      program: `${left.read} ${operator} ${right.read}`,
      code: () => perElement(`y[i] = ${term("a", left)} ${operator} ${term("b", right)};`),
      reads: { ...(left.read === "number" ? {} : { a }), ...(right.read === "number" ? {} : { b }) },
      writes: { y },
      numbers: { integers: { size }, floats: { ...(left.read === "number" ? { a: compute.number(a) as number } : {}), ...(right.read === "number" ? { b: compute.number(b) as number } : {}) } },
      workgroups: elementGroups(size),
    });
    return y;
  };
}

const term = (name: string, { read }: Side): string => (read === "number" ? `numbers.${name}` : `${name}${read}`);

function side(compute: Compute, tensor: tf.TensorInfo, shape: readonly number[]): Side {
  if (compute.number(tensor) !== undefined) return { tensor, read: "number" };
  return { tensor, read: sizeOf(tensor) === 1 && !sameShape(tensor.shape, shape) ? "[0]" : "[i]" };
}

function resultShape(a: tf.TensorInfo, b: tf.TensorInfo): readonly number[] | undefined {
  if (sameShape(a.shape, b.shape)) return a.shape;
  if (sizeOf(b) === 1 && b.shape.length <= a.shape.length) return a.shape;
  return sizeOf(a) === 1 && a.shape.length <= b.shape.length ? b.shape : undefined;
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((n, i) => n === b[i]);
}

export const add = binary("+");
export const sub = binary("-");
export const multiply = binary("*");
export const divide = binary("/");

/** One number all over a float32 shape. */
export const fill: TfjsKernel = (compute, _inputs, attrs) => {
  const [shape, value, dtype] = [attrs["shape"] as number[], attrs["value"], attrs["dtype"]];
  if (typeof value !== "number" || (dtype !== undefined && dtype !== "float32")) return undefined;
  const y = compute.make(shape);
  const size = sizeOf(y);
  compute.run({ program: "fill", code: () => perElement("y[i] = numbers.value;"), reads: {}, writes: { y }, numbers: { integers: { size }, floats: { value } }, workgroups: elementGroups(size) });
  return y;
};

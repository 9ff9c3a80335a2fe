import { tf } from "@deft-js/tensor";
import type { Compute } from "../compute.ts";
import { required, sizeOf, type TfjsKernel } from "../kernel.ts";
import { elementGroups, perElement } from "../wgsl.ts";

/** How an operand is read for element i of the result; a number that is still on the host goes into the launch. */
type Side = "[i]" | "[0]" | number;

/** a ∘ b for float32 operands of one shape, or of which one is a single number; tfjs does what else broadcasting allows, and what is still on the host. */
function binary(operator: "+" | "-" | "*" | "/"): TfjsKernel {
  return (compute, inputs) => {
    const [a, b] = [required(inputs, "a"), required(inputs, "b")];
    const shape = resultShape(a, b);
    if (shape === undefined || a.dtype !== "float32" || b.dtype !== "float32" || (!compute.onDevice(a) && !compute.onDevice(b))) return undefined;
    const [left, right] = [side(compute, a, shape), side(compute, b, shape)];
    const y = compute.make(shape);
    const size = sizeOf(y);
    const formula = `${term("a", left)} ${operator} ${term("b", right)}`;
    compute.run({
      program: formula,
      code: () => perElement(`y[i] = ${formula};`),
      reads: { ...(typeof left === "number" ? {} : { a }), ...(typeof right === "number" ? {} : { b }) },
      writes: { y },
      numbers: { integers: { size }, floats: { ...(typeof left === "number" ? { a: left } : {}), ...(typeof right === "number" ? { b: right } : {}) } },
      workgroups: elementGroups(size),
    });
    return y;
  };
}

const term = (name: string, side: Side): string => (typeof side === "number" ? `numbers.${name}` : `${name}${side}`);

function side(compute: Compute, tensor: tf.TensorInfo, shape: number[]): Side {
  return compute.number(tensor) ?? (sizeOf(tensor) === 1 && !tf.util.arraysEqual(tensor.shape, shape) ? "[0]" : "[i]");
}

function resultShape(a: tf.TensorInfo, b: tf.TensorInfo): number[] | undefined {
  if (tf.util.arraysEqual(a.shape, b.shape)) return a.shape;
  if (sizeOf(b) === 1 && b.shape.length <= a.shape.length) return a.shape;
  return sizeOf(a) === 1 && a.shape.length <= b.shape.length ? b.shape : undefined;
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

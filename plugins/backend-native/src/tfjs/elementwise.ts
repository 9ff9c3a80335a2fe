import { tf } from "@deft-js/tensor";
import { required, sizeOf, type TfjsKernel } from "../kernel.ts";
import { planBroadcast } from "./broadcast.ts";

const isFloat = (info: tf.TensorInfo): boolean => info.dtype === "float32";

function binary(op: number): TfjsKernel {
  return (backend, inputs) => {
    const a = required(inputs, "a", "binary");
    const b = required(inputs, "b", "binary");
    if (!isFloat(a) || !isFloat(b)) return undefined;
    tf.backend_util.assertAndGetBroadcastShape(a.shape, b.shape);
    const plan = planBroadcast(a.shape, b.shape);
    if (plan === undefined) return undefined;
    const [y, values] = backend.make(plan.shape);
    if (values.length > 0) backend.addon.binary(op, ...plan.sizes, ...plan.a, ...plan.b, sizeOf(a), sizeOf(b), backend.floats(a), backend.floats(b), values);
    return y;
  };
}

function unary(op: number): TfjsKernel {
  return (backend, inputs) => {
    const x = required(inputs, "x", "unary");
    if (!isFloat(x)) return undefined;
    const [y, values] = backend.make(x.shape);
    backend.addon.unary(op, sizeOf(x), backend.floats(x), values);
    return y;
  };
}

/** To float32 by conversion: tfjs's own kernel would leave the integer array under the float32 tensor. */
const cast: TfjsKernel = (backend, inputs, { dtype }) => {
  const x = required(inputs, "x", "cast");
  if (dtype !== "float32" || (x.dtype !== "int32" && x.dtype !== "bool")) return undefined;
  const [y, values] = backend.make(x.shape);
  values.set((backend.data.get(x.dataId) as unknown as { values: ArrayLike<number> }).values);
  return y;
};

/** The element-wise kernels of tfjs, by name. */
export const ELEMENTWISE: Readonly<Record<string, TfjsKernel>> = {
  Add: binary(0),
  Sub: binary(1),
  Multiply: binary(2),
  RealDiv: binary(3),
  Maximum: binary(4),
  Minimum: binary(5),
  SquaredDifference: binary(6),
  Neg: unary(0),
  Square: unary(1),
  Sqrt: unary(2),
  Rsqrt: unary(3),
  Exp: unary(4),
  Tanh: unary(5),
  Sigmoid: unary(6),
  Relu: unary(7),
  Erf: unary(8),
  Abs: unary(9),
  Reciprocal: unary(10),
  Log: unary(11),
  Cast: cast,
};

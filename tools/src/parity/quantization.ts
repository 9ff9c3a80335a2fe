import { ops, transposeMatrix, WEIGHT_FORMAT, WEIGHT_LAYOUT, type Kernel, type StoredTensor, type Weight } from "@deft-js/core";
import { Unsupported } from "./build.ts";
import { arrays, values, type Arrays } from "./fixture.ts";
import { largestError, type Line } from "./report.ts";

/** Everything that a fixture of quantized matrices holds, beside our own: codes and scales bit for bit, values within float32's rounding. */
export async function checkQuantization(folder: string, kernel: Kernel): Promise<Line[]> {
  if (!kernel.contributions(WEIGHT_FORMAT).some(({ id }) => id === "nf4")) throw new Unsupported("no plugin brings the weight format nf4");
  const expected = await arrays(folder, "expected.safetensors");
  const cases = [...expected.keys()].filter((name) => name.endsWith(".input")).map((name) => name.slice(0, -".input".length));
  return cases.flatMap((name) => [
    ...["nf4", "fp4"].flatMap((format) => fourBitLines(kernel, expected, { name, format })),
    ...(["row", "matrix"] as const).flatMap((scale) => int8Lines(kernel, expected, { name, scale })),
  ]);
}

interface Case {
  readonly name: string;
  readonly format: string;
}

function fourBitLines(kernel: Kernel, expected: Arrays, { name, format }: Case): Line[] {
  const key = `${name}.${format}`;
  const held = (doubleQuantization: boolean) => stored(kernel, encode(kernel, expected, name, { format, options: { doubleQuantization } }));
  const [plain, double] = [held(false), held(true)];
  return [
    exact(`${key}.packed`, plain.tensor("w.weight"), expected),
    exact(`${key}.absmax`, plain.tensor("w.weight.absmax"), expected),
    rounded(`${key}.dequant`, plain.values, expected),
    exact(`${key}.dq.absmax_codes`, double.tensor("w.weight.absmax"), expected),
    exact(`${key}.dq.absmax_absmax`, double.tensor("w.weight.nested_absmax"), expected),
    rounded(`${key}.dq.dequant`, double.values, expected),
  ];
}

function int8Lines(kernel: Kernel, expected: Arrays, { name, scale }: { name: string; scale: "row" | "matrix" }): Line[] {
  const key = `${name}.int8_${scale === "row" ? "row" : "tensor"}`;
  if (!expected.has(`${key}.codes`)) return [];
  const weight = encode(kernel, expected, name, { format: "int8", options: { scale } });
  if (scale === "matrix") return [{ ...rounded(`${key}.dequant`, fileValues(weight), expected), tolerance: 0 }]; // no file layout has one scale: the values tell the codes
  const held = stored(kernel, weight);
  return [exact(`${key}.codes`, held.tensor("w.weight"), expected), exact(`${key}.absmax`, held.tensor("w.SCB"), expected), rounded(`${key}.dequant`, held.values, expected)];
}

function encode(kernel: Kernel, expected: Arrays, name: string, { format, options }: { format: string; options: object }): Weight {
  const [dOut = 0, dIn = 0] = expected.get(`${name}.input`)?.shape ?? [];
  return kernel.create(WEIGHT_FORMAT, format, options).encode("w", values(expected, `${name}.input`), { dOut, dIn });
}

/** A weight's tensors as bitsandbytes stores them, and its values in file layout. */
function stored(kernel: Kernel, weight: Weight): { tensor(name: string): ArrayLike<number>; readonly values: Float32Array } {
  const tensors = kernel.create(WEIGHT_LAYOUT, "bitsandbytes").write("w", weight) ?? [];
  const numbers = ({ dtype, bytes }: StoredTensor): ArrayLike<number> => (dtype === "F32" ? new Float32Array(bytes.slice().buffer) : dtype === "I8" ? new Int8Array(bytes.slice().buffer) : bytes);
  return {
    values: fileValues(weight),
    tensor(name) {
      const found = tensors.find((tensor) => tensor.name === name);
      if (found === undefined) throw new Error(`parity: ${name} must be stored, got ${tensors.map((tensor) => tensor.name).join(", ")}`);
      return numbers(found);
    },
  };
}

/** [dOut, dIn]. */
export function fileValues(weight: Weight): Float32Array {
  return transposeMatrix(ops.scope(() => ops.read(weight.dense())), weight.shape[0], weight.shape[1]);
}

function exact(quantity: string, actual: ArrayLike<number>, expected: Arrays): Line {
  return { quantity, error: largestError(actual, values(expected, quantity)), tolerance: 0, note: "exactly" };
}

function rounded(quantity: string, actual: ArrayLike<number>, expected: Arrays): Line {
  const theirs = values(expected, quantity);
  const top = Math.max(...theirs.map(Math.abs));
  return { quantity, error: largestError(actual, theirs), tolerance: 1e-7 * top };
}

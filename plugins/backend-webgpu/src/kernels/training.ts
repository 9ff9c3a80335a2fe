import type { tf } from "@deft-js/tensor";
import type { Compute } from "../compute.ts";
import { required, sizeOf, type FusedKernel } from "../kernel.ts";
import { elementGroups, perElement, perRow, rowGroups } from "../wgsl.ts";

/** One AdamW step on value, m and v in place: p ← p(1 − ηλ) − η/(1−β₁ᵗ) · m/(√v/√(1−β₂ᵗ) + ε). The numbers are those of the step, so that all parameters of a size share them. */
export const adamW: FusedKernel<"DeftAdamW"> = (compute, inputs, { learningRate, beta1, beta2, epsilon, weightDecay, step }) => {
  const [value, m, v, gradient] = [required(inputs, "value"), required(inputs, "m"), required(inputs, "v"), required(inputs, "gradient")];
  const size = sizeOf(value);
  compute.run({
    program: "adamW",
    code: () => perElement(`
  let g = gradient[i];
  let first = m[i] * numbers.beta1 + g * numbers.rest1;
  let second = v[i] * numbers.beta2 + g * g * numbers.rest2;
  m[i] = first;
  v[i] = second;
  value[i] = value[i] * numbers.decay - first / (sqrt(second) / numbers.correction + numbers.epsilon) * numbers.rate;`),
    reads: { gradient },
    writes: { value, m, v },
    numbers: {
      integers: { size },
      floats: {
        beta1, rest1: 1 - beta1, beta2, rest2: 1 - beta2, epsilon,
        decay: 1 - learningRate * weightDecay, correction: Math.sqrt(1 - beta2 ** step), rate: learningRate / (1 - beta1 ** step),
      },
    },
    workgroups: elementGroups(size),
  });
  return [];
};

/** Tensors of one launch: WebGPU promises eight buffers, and one takes the results. */
const TOGETHER = 7;
/** Workgroups among which a tensor is divided: its size over their share, at most so many. */
const DIVISIONS = 64;
const SHARE = 4096;

/** Σx of each input. */
export const sums: FusedKernel<"DeftSums"> = (compute, inputs) => ofEach(compute, Object.values(inputs), "plain");

/** Σx² of each input. */
export const squaredNorms: FusedKernel<"DeftSquaredNorms"> = (compute, inputs) => ofEach(compute, Object.values(inputs), "squared");

/** The parts of each tensor's sum, several tensors at a time, and then the sums of the parts. A record has whole-numbered names in order. */
function ofEach(compute: Compute, inputs: readonly (tf.TensorInfo | undefined)[], form: "plain" | "squared"): tf.TensorInfo[] {
  const tensors = inputs.filter((tensor) => tensor !== undefined);
  const result = compute.make([tensors.length]);
  const divisions = Math.min(DIVISIONS, Math.max(1, ...tensors.map((tensor) => Math.ceil(sizeOf(tensor) / SHARE))));
  const parts = divisions === 1 ? result : compute.make([tensors.length, divisions]);
  for (let first = 0; first < tensors.length; first += TOGETHER) partsOf(compute, tensors.slice(first, first + TOGETHER), { parts, first, divisions, form });
  if (parts === result) return [result];
  compute.run({
    program: "sums of parts",
    code: () => perRow("let part = select(0.0, parts[row * numbers.n + min(lane, numbers.n - 1u)], lane < numbers.n); let whole = total(lane, part); if (lane == 0u) { sums[row] = whole; }"),
    reads: { parts },
    writes: { sums: result },
    numbers: { integers: { rows: tensors.length, n: divisions } },
    workgroups: rowGroups(tensors.length),
  });
  compute.free(parts);
  return [result];
}

interface Parts {
  /** [tensors, divisions]. */
  readonly parts: tf.TensorInfo;
  /** The place of the first of these tensors. */
  readonly first: number;
  readonly divisions: number;
  readonly form: "plain" | "squared";
}

/** Each row is one division of one tensor. */
function partsOf(compute: Compute, tensors: readonly tf.TensorInfo[], { parts, first, divisions, form }: Parts): void {
  const rows = tensors.length * divisions;
  const term = (name: string): string => (form === "plain" ? `${name}[i]` : `${name}[i] * ${name}[i]`);
  const cases = tensors.map((_, t) => `case ${t}u: { for (var i = division * LANES + lane; i < numbers.size${t}; i += step) { sum += ${term(`x${t}`)}; } }`);
  compute.run({
    program: `parts of sums ${form}`,
    code: () => perRow(`
  let division = row % numbers.divisions;
  let step = numbers.divisions * LANES;
  var sum = 0.0;
  switch row / numbers.divisions {
    ${cases.join("\n    ")}
    default: {}
  }
  let whole = total(lane, sum);
  if (lane == 0u) { parts[numbers.first * numbers.divisions + row] = whole; }`),
    reads: Object.fromEntries(tensors.map((tensor, t) => [`x${t}`, tensor])),
    writes: { parts },
    numbers: { integers: { rows, first, divisions, ...Object.fromEntries(tensors.map((tensor, t) => [`size${t}`, sizeOf(tensor)])) } },
    workgroups: rowGroups(rows),
  });
}

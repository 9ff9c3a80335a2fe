import type { tf } from "@deft-js/tensor";
import type { Compute } from "../compute.ts";
import type { Bound } from "../programs.ts";
import { asMatrix, present, required, sizeOf, type FusedKernel } from "../kernel.ts";
import { DROPOUT, dropoutNumbers, eachColumn, elementGroups, perElement, perRow, rowGroups, when } from "../wgsl.ts";
import { activationWgsl, derivesFromOutput, type Activation } from "./activation-wgsl.ts";

/** y = f(x). */
export const activation: FusedKernel<"DeftActivation"> = (compute, inputs, { kind }) => {
  const x = required(inputs, "x");
  const y = compute.make(x.shape);
  const size = sizeOf(x);
  compute.run({
    program: `activation ${kind}`,
    code: () => perElement("y[i] = activate(x[i]);", activationWgsl(kind)),
    reads: { x },
    writes: { y },
    numbers: { integers: { size } },
    workgroups: elementGroups(size),
  });
  return [y];
};

/** dx = dy·f′, or dx = (dy + dp·w·2yε/(y²+ε)²)·f′ with the penalty beside it. */
export const activationGradient: FusedKernel<"DeftActivationGradient"> = (compute, inputs, { kind, epsilon }) => {
  const { x, y, slope, dy, penalty } = inputs;
  const like = x ?? slope ?? required(inputs, "y");
  const dx = compute.taken(dy, inputs) ?? compute.make(like.shape);
  const over = dy !== undefined && dy.dataId === dx.dataId;
  const sources = present({ x, y, slope, ...(over ? {} : { dy }) });
  if (epsilon === undefined) plainGradient(compute, { kind, sources, over, dx });
  else densityGradient(compute, { kind, sources, over, dx, epsilon, weights: required(inputs, "weights"), dp: required(inputs, "dp"), penalty });
  return [dx];
};

interface Backward {
  readonly kind: Activation;
  /** Of x, y, slope and dy what is there. */
  readonly sources: Bound;
  /** dx begins as dy. */
  readonly over: boolean;
  readonly dx: tf.TensorInfo;
}

interface DensityBackward extends Backward {
  readonly epsilon: number;
  readonly weights: tf.TensorInfo;
  readonly dp: tf.TensorInfo;
  readonly penalty: tf.TensorInfo | undefined;
}

const incoming = ({ sources, over }: Backward): string => (over ? "dx[i]" : "dy" in sources ? "dy[i]" : "0.0");
const slopeAt = ({ kind, sources }: Backward): string => ("slope" in sources ? "slope[i]" : `slope_of(${kind === "identity" ? "0.0" : derivesFromOutput(kind) ? "y[i]" : "x[i]"})`);

function plainGradient(compute: Compute, backward: Backward): void {
  const { kind, sources, over, dx } = backward;
  const size = sizeOf(dx);
  compute.run({
    program: `activation gradient ${kind}${when(over, " over")}`,
    code: () => perElement(`dx[i] = ${incoming(backward)} * ${slopeAt(backward)};`, activationWgsl(kind)),
    reads: sources,
    writes: { dx },
    numbers: { integers: { size } },
    workgroups: elementGroups(size),
  });
}

/** Each row of the activation is a position with one weight: its share of the penalty is found on the way. */
function densityGradient(compute: Compute, backward: DensityBackward): void {
  const { kind, sources, over, dx, epsilon, weights, dp, penalty } = backward;
  const [rows, n] = asMatrix(dx);
  const batch = sizeOf(dp);
  const shares = penalty === undefined ? undefined : compute.make([rows]);
  compute.run({
    program: `density gradient ${kind}${when(over, " over")}`,
    code: () => perRow(densityRow(backward), activationWgsl(kind)),
    reads: { ...sources, weights, dp },
    writes: shares === undefined ? { dx } : { dx, shares },
    numbers: { integers: { rows, n, seq: batch === 0 ? 1 : rows / batch }, floats: { epsilon } },
    workgroups: rowGroups(n === 0 ? 0 : rows),
  });
  if (penalty === undefined || shares === undefined) return;
  compute.renew(penalty);
  penaltyOf(compute, shares, penalty);
  compute.free(shares);
}

function densityRow(backward: DensityBackward): string {
  const value = "y" in backward.sources ? "y[i]" : "activate(x[i])";
  const shared = backward.penalty !== undefined;
  return /* wgsl */ `
  let weight = weights[row];
  let upstream = dp[row / numbers.seq] * weight;
  var share = 0.0;
  ${eachColumn(`
    let a = ${value};
    let squared = a * a;
    let spread = squared + numbers.epsilon;
    share += squared / spread;
    dx[i] = (${incoming(backward)} + upstream * 2.0 * a * numbers.epsilon / (spread * spread)) * ${slopeAt(backward)};`)}
  ${when(shared, "let whole = total(lane, share); if (lane == 0u) { shares[row] = weight * whole; }")}`;
}

/** p_b = Σ_s shares[b,s]. */
function penaltyOf(compute: Compute, shares: tf.TensorInfo, penalty: tf.TensorInfo): void {
  const rows = sizeOf(penalty);
  compute.run({
    program: "density penalty of examples",
    code: () => perRow(`
  var sum = 0.0;
  ${eachColumn("sum += shares[i];")}
  let whole = total(lane, sum);
  if (lane == 0u) { penalty[row] = whole; }`),
    reads: { shares },
    writes: { penalty },
    numbers: { integers: { rows, n: rows === 0 ? 0 : sizeOf(shares) / rows } },
    workgroups: rowGroups(rows),
  });
}

/** p_b = Σ w·a²/(a²+ε), or room for it: the gradient's launches find it beside what they do. */
export const densityPenalty: FusedKernel<"DeftDensityPenalty"> = (compute, inputs, { epsilon, late }) => {
  const a = required(inputs, "a");
  const [rows, n] = asMatrix(a);
  const [batch = 0] = a.shape;
  if (late) return [compute.from(new Float32Array(batch).fill(NaN), [batch])];
  const penalty = compute.make([batch]);
  const shares = compute.make([rows]);
  compute.run({
    program: "density penalty of positions",
    code: () => perRow(`
  var sum = 0.0;
  ${eachColumn("let squared = a[i] * a[i]; sum += squared / (squared + numbers.epsilon);")}
  let whole = total(lane, sum);
  if (lane == 0u) { shares[row] = weights[row] * whole; }`),
    reads: { a, weights: required(inputs, "weights") },
    writes: { shares },
    numbers: { integers: { rows, n }, floats: { epsilon } },
    workgroups: rowGroups(rows),
  });
  penaltyOf(compute, shares, penalty);
  compute.free(shares);
  return [penalty];
};

/** da = dp·w·2aε/(a²+ε)²; the penalty beside it. */
export const densityPenaltyGradient: FusedKernel<"DeftDensityPenaltyGradient"> = (compute, inputs, { epsilon }) => {
  const a = required(inputs, "a");
  const dx = compute.make(a.shape);
  densityGradient(compute, { kind: "identity", sources: { y: a }, over: false, dx, epsilon, weights: required(inputs, "weights"), dp: required(inputs, "dy"), penalty: inputs["penalty"] });
  return [dx];
};

/** w = mask/(max(Σ mask, 1)·neurons). */
export const positionWeights: FusedKernel<"DeftPositionWeights"> = (compute, inputs, { neurons }) => {
  const mask = required(inputs, "mask");
  const [rows, n] = asMatrix(mask);
  const weights = compute.make(mask.shape);
  compute.run({
    program: "position weights",
    code: () => perRow(`
  var sum = 0.0;
  ${eachColumn("sum += mask[i];")}
  let count = max(total(lane, sum), 1.0) * numbers.neurons;
  ${eachColumn("weights[i] = mask[i] / count;")}`),
    reads: { mask },
    writes: { weights },
    numbers: { integers: { rows, n }, floats: { neurons } },
    workgroups: rowGroups(rows),
  });
  return [weights];
};

/** y = x·keep/(1 − p). */
export const dropout: FusedKernel<"DeftDropout"> = (compute, inputs, { probability, seed }) => {
  const x = required(inputs, "x");
  const y = compute.make(x.shape);
  const { integers, floats } = dropoutNumbers(probability, seed);
  const size = sizeOf(x);
  compute.run({
    program: "dropout",
    code: () => perElement("y[i] = x[i] * kept(i);", DROPOUT),
    reads: { x },
    writes: { y },
    numbers: { integers: { size, ...integers }, floats },
    workgroups: elementGroups(size),
  });
  return [y];
};

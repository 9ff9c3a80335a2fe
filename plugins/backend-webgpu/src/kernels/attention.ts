import type { KernelTable, tf } from "@deft-js/tensor";
import type { Compute } from "../compute.ts";
import { present, required, type FusedKernel, type Inputs } from "../kernel.ts";
import { DROPOUT, dropoutNumbers, elementGroups, MOST_WORKGROUPS, perElement, perRow, rowGroups, when } from "../wgsl.ts";
import { multiply, type Operand } from "./product.ts";

/** The most elements of scores that are held at a time, 512 MiB: longer batches go a few examples at a time. */
const MOST_SCORES = 2 ** 27;

interface Shape {
  readonly batch: number;
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  readonly depth: number;
}

type Attributes = KernelTable["DeftAttention"];

/** The examples of one round. */
interface Round {
  readonly first: number;
  readonly examples: number;
}

function shapeOf(inputs: Inputs, { heads }: Attributes): Shape {
  const [batch = 0, queries = 0, width = 0] = required(inputs, "q").shape;
  return { batch, heads, queries, keys: required(inputs, "k").shape[1] ?? 0, depth: width / heads };
}

function* rounds({ batch, heads, queries, keys }: Shape, mostScores: number): Iterable<Round> {
  const most = Math.max(1, Math.floor(Math.min(mostScores / Math.max(1, heads * queries * keys), MOST_WORKGROUPS / heads)));
  for (let first = 0; first < batch; first += most) yield { first, examples: Math.min(most, batch - first) };
}

/** Heads are read where they stand: [batch, length, heads·depth]. */
function headed(tensor: tf.TensorInfo, { heads, depth }: Shape, { first }: Round, transposed = false): Operand {
  const length = tensor.shape[1] ?? 0;
  const width = heads * depth;
  return { tensor, transposed, stride: width, outer: length * width, inner: depth, base: first * length * width };
}

/** [examples, heads, queries, keys]. */
function scored(tensor: tf.TensorInfo, { heads, queries, keys }: Shape, transposed = false): Operand {
  return { tensor, transposed, stride: keys, outer: heads * queries * keys, inner: queries * keys };
}

/**
 * The functions of a row of scores: `future(query, key)` and `padding(example, key)`, the masks of order and padding, and `score(raw, …)` = scale·raw + bias, or finfo.min where one of
 * them masks.
 */
function scoreWgsl(attrs: Attributes, inputs: Inputs): string {
  const padded = inputs["mask"] !== undefined;
  return /* wgsl */ `
const FLOAT_MIN = -3.4028234663852886e38;
fn future(query : u32, key : u32) -> bool { return ${when(attrs.causal, "i32(key) > i32(query) + i32(numbers.keys) - i32(numbers.queries)", "false")}; }
fn padding(example : u32, key : u32) -> f32 { return ${when(padded, "1.0 - mask[example * numbers.keys + key]", "0.0")}; }
fn score(raw : f32, example : u32, head : u32, query : u32, key : u32) -> f32 {
  let value = numbers.scale * raw${when(inputs["bias"] !== undefined, " + bias[(((example % numbers.biases) * numbers.heads + head) * numbers.queries + query) * numbers.keys + key]")};
  return select(value, FLOAT_MIN, future(query, key) || padding(example, key) > 0.5);
}
${when(attrs.dropout > 0, DROPOUT)}`;
}

/** Which row this is; `whole` counts over the batch. */
const ROW = /* wgsl */ `
  let query = row % numbers.queries;
  let head = row / numbers.queries % numbers.heads;
  let example = numbers.first + row / (numbers.queries * numbers.heads);
  let whole = (example * numbers.heads + head) * numbers.queries + query;
  let start = row * numbers.keys;`;

const keysOf = (body: string): string => `for (var key = lane; key < numbers.keys; key += LANES) { ${body} }`;

function variant({ causal, dropout }: Attributes): string {
  return `${when(causal, " causal")}${when(dropout > 0, " dropout")}`;
}

function rowNumbers({ heads, queries, keys }: Shape, { scale, dropout, seed }: Attributes, { first, examples }: Round, bias: tf.TensorInfo | undefined): { integers: Record<string, number>; floats: Record<string, number> } {
  const drop = dropout > 0 ? dropoutNumbers(dropout, seed) : { integers: {}, floats: {} };
  return { integers: { rows: examples * heads * queries, heads, queries, keys, first, biases: bias?.shape[0] ?? 1, ...drop.integers }, floats: { scale, ...drop.floats } };
}

/** scores ← q·kᵀ. */
function rawScores(compute: Compute, scores: tf.TensorInfo, shape: Shape, round: Round, q: tf.TensorInfo, k: tf.TensorInfo): void {
  const { queries: m, keys: n, depth, heads } = shape;
  multiply(compute, { m, n, k: depth, a: headed(q, shape, round), b: headed(k, shape, round, true), y: scored(scores, shape), count: round.examples * heads, heads });
}

/** Both kernels, holding so many scores at a time. */
export function attentionKernels(mostScores: number): { readonly attention: FusedKernel<"DeftAttention">; readonly attentionGradient: FusedKernel<"DeftAttentionGradient"> } {
  return {
    attention: (compute, inputs, attrs) => forward(compute, inputs, attrs, mostScores),
    attentionGradient: (compute, inputs, attrs) => backward(compute, inputs, attrs, mostScores),
  };
}

export const { attention, attentionGradient } = attentionKernels(MOST_SCORES);

/** The context and log Σ exp of each row of scores: scores by tiles, their softmax row by row, and its product with v. */
function forward(compute: Compute, inputs: Inputs, attrs: Attributes, mostScores: number): tf.TensorInfo[] {
  const [q, k, v] = [required(inputs, "q"), required(inputs, "k"), required(inputs, "v")];
  const { mask, bias } = inputs;
  const shape = shapeOf(inputs, attrs);
  const { batch, heads, queries, keys, depth } = shape;
  const context = compute.make(q.shape);
  const logSumExp = compute.make([batch, heads, queries]);
  for (const round of rounds(shape, mostScores)) {
    const scores = compute.make([round.examples, heads, queries, keys]);
    rawScores(compute, scores, shape, round, q, k);
    const numbers = rowNumbers(shape, attrs, round, bias);
    compute.run({
      program: `attention softmax${variant(attrs)}`,
      code: () => perRow(softmaxRow(attrs), scoreWgsl(attrs, inputs)),
      reads: present({ mask, bias }),
      writes: { scores, logSumExp },
      numbers,
      workgroups: rowGroups(keys === 0 ? 0 : (numbers.integers["rows"] ?? 0)),
    });
    multiply(compute, { m: queries, n: depth, k: keys, a: scored(scores, shape), b: headed(v, shape, round), y: headed(context, shape, round), count: round.examples * heads, heads });
    compute.free(scores);
  }
  return [context, logSumExp];
}

function softmaxRow({ dropout }: Attributes): string {
  return /* wgsl */ `${ROW}
  var most = FLOAT_MIN;
  ${keysOf("let s = score(scores[start + key], example, head, query, key); scores[start + key] = s; most = max(most, s);")}
  let top = largest(lane, most);
  var sum = 0.0;
  ${keysOf("let e = exp(scores[start + key] - top); scores[start + key] = e; sum += e;")}
  let denominator = total(lane, sum);
  ${keysOf(`scores[start + key] = scores[start + key] / denominator${when(dropout > 0, " * kept(whole * numbers.keys + key)")};`)}
  if (lane == 0u) { logSumExp[whole] = top + log(denominator); }`;
}

/** dq, dk, dv, and dbias when `biasGradient`. */
function backward(compute: Compute, inputs: Inputs, attrs: KernelTable["DeftAttentionGradient"], mostScores: number): tf.TensorInfo[] {
  const [q, k, v, dy] = [required(inputs, "q"), required(inputs, "k"), required(inputs, "v"), required(inputs, "dy")];
  const shape = shapeOf(inputs, attrs);
  const [dq, dk, dv] = [compute.make(q.shape), compute.make(k.shape), compute.make(v.shape)];
  const dBias = attrs.biasGradient ? compute.make(required(inputs, "bias").shape) : undefined;
  const { heads, queries, keys, depth } = shape;
  for (const round of rounds(shape, mostScores)) {
    const of = { count: round.examples * heads, heads };
    const [probabilities, dScores] = [compute.make([round.examples, heads, queries, keys]), compute.make([round.examples, heads, queries, keys])];
    rawScores(compute, probabilities, shape, round, q, k);
    rawScores(compute, dScores, shape, round, dy, v);
    scoreGradient(compute, { probabilities, dScores }, shape, round, inputs, attrs);
    multiply(compute, { m: queries, n: depth, k: keys, a: scored(dScores, shape), b: headed(k, shape, round), y: headed(dq, shape, round), alpha: attrs.scale, ...of });
    multiply(compute, { m: keys, n: depth, k: queries, a: scored(dScores, shape, true), b: headed(q, shape, round), y: headed(dk, shape, round), alpha: attrs.scale, ...of });
    multiply(compute, { m: keys, n: depth, k: queries, a: scored(probabilities, shape, true), b: headed(dy, shape, round), y: headed(dv, shape, round), ...of });
    if (dBias !== undefined) addBias(compute, dBias, dScores, round);
    compute.free(probabilities);
    compute.free(dScores);
  }
  return dBias === undefined ? [dq, dk, dv] : [dq, dk, dv, dBias];
}

/** Raw scores become the probabilities after dropout, and the gradient by those becomes that by the scores: dS = P∘(dP − Σ P∘dP). */
function scoreGradient(compute: Compute, writes: { probabilities: tf.TensorInfo; dScores: tf.TensorInfo }, shape: Shape, round: Round, inputs: Inputs, attrs: Attributes): void {
  const { mask, bias } = inputs;
  const numbers = rowNumbers(shape, attrs, round, bias);
  compute.run({
    program: `attention gradient of scores${variant(attrs)}`,
    code: () => perRow(gradientRow(attrs, mask !== undefined), scoreWgsl(attrs, inputs)),
    reads: present({ mask, bias, logSumExp: required(inputs, "logSumExp") }),
    writes,
    numbers,
    workgroups: rowGroups(shape.keys === 0 ? 0 : (numbers.integers["rows"] ?? 0)),
  });
}

/** A row whose keys are all masked is uniform, which its log Σ exp cannot say: finfo.min takes log(keys) in. What of its gradient passes the masks is told in `attention` of @deft-js/tensor. */
function gradientRow({ causal, dropout }: Attributes, padded: boolean): string {
  const factor = dropout > 0 ? "kept(whole * numbers.keys + key)" : "1.0";
  const passing = when(causal && padded, " * (1.0 - 0.5 * (padding(example, key) + select(0.0, 1.0, future(query, key))))");
  return /* wgsl */ `${ROW}
  let level = logSumExp[whole];
  let uniform_row = level < 0.5 * FLOAT_MIN;
  var sum = 0.0;
  ${keysOf(`let at = start + key;
    let p = select(exp(score(probabilities[at], example, head, query, key) - level), 1.0 / f32(numbers.keys), uniform_row);
    let factor = ${factor};
    let weighted = p * factor * dScores[at];
    sum += weighted;
    probabilities[at] = p;
    dScores[at] = weighted;`)}
  let along = total(lane, sum);
  ${keysOf(`let at = start + key;
    let p = probabilities[at];
    dScores[at] = (dScores[at] - along * p)${passing};
    probabilities[at] = p * ${factor};`)}`;
}

/** dbias of these examples: the gradients by the scores, or their sum where one bias is shared. */
function addBias(compute: Compute, dBias: tf.TensorInfo, dScores: tf.TensorInfo, { first, examples }: Round): void {
  const each = dBias.shape.slice(1).reduce((n, d) => n * d, 1);
  const shared = dBias.shape[0] === 1;
  const size = shared ? each : examples * each;
  compute.run({
    program: `attention bias gradient${when(shared, " shared")}${when(first > 0, " on")}`,
    code: () => biasWgsl(shared, first > 0),
    reads: { dScores },
    writes: { dBias },
    numbers: { integers: { size, examples, begin: first * each } },
    workgroups: elementGroups(size),
  });
}

function biasWgsl(shared: boolean, on: boolean): string {
  if (!shared) return perElement("dBias[numbers.begin + i] = dScores[i];");
  return perElement(`var sum = ${when(on, "dBias[i]", "0.0")}; for (var b = 0u; b < numbers.examples; b++) { sum += dScores[b * numbers.size + i]; } dBias[i] = sum;`);
}

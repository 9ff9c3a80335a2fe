/** Plain float64 references of the ops, row-major arrays, written for reading and not for speed. */
import { keeps, type ActivationKind } from "@deft-js/tensor";

/** Values in row-major order. */
export type Values = readonly number[];

const at = (x: Values, i: number): number => x[i] as number;

/** a [m, k] · b [k, n]. */
export function matMul(a: Values, b: Values, m: number, k: number, n: number): number[] {
  return Array.from({ length: m * n }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < k; j++) sum += at(a, Math.floor(i / n) * k + j) * at(b, j * n + (i % n));
    return sum;
  });
}

/** The transpose of x [m, n]. */
export function transpose(x: Values, m: number, n: number): number[] {
  return Array.from({ length: m * n }, (_, i) => at(x, (i % m) * n + Math.floor(i / m)));
}

/** x·W + b. */
export function linear(x: Values, w: Values, b: Values | undefined, [m, k, n]: readonly [number, number, number]): number[] {
  return matMul(x, w, m, k, n).map((v, i) => v + (b === undefined ? 0 : at(b, i % n)));
}

/** erf by its Taylor series (|x| < 3) or the continued fraction of erfc. */
export function erf(x: number): number {
  const z = Math.abs(x);
  if (z > 6) return Math.sign(x);
  if (z < 3) {
    let [term, sum] = [z, z];
    for (let n = 1; n < 100; n++) {
      term *= (-z * z) / n;
      sum += term / (2 * n + 1);
    }
    return (Math.sign(x) * 2 * sum) / Math.sqrt(Math.PI);
  }
  let fraction = 0;
  for (let n = 60; n > 0; n--) fraction = n / 2 / (z + fraction);
  return Math.sign(x) * (1 - Math.exp(-z * z) / Math.sqrt(Math.PI) / (z + fraction));
}

/** f(x). */
export function activation(x: number, kind: ActivationKind): number {
  switch (kind) {
    case "relu":
      return Math.max(x, 0);
    case "gelu":
      return 0.5 * x * (1 + erf(x / Math.SQRT2));
    case "gelu_new":
      return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
    case "silu":
      return x / (1 + Math.exp(-x));
    case "tanh":
      return Math.tanh(x);
    case "sigmoid":
      return 1 / (1 + Math.exp(-x));
  }
}

/** Σ w·a²/(a²+ε) for each example of a [batch, seq, n]. */
export function densityPenalty(a: Values, w: Values, epsilon: number, batch: number): number[] {
  const perExample = a.length / batch;
  const n = a.length / w.length;
  return Array.from({ length: batch }, (_, b) => {
    let sum = 0;
    for (let i = b * perExample; i < (b + 1) * perExample; i++) sum += at(w, Math.floor(i / n)) * (at(a, i) ** 2 / (at(a, i) ** 2 + epsilon));
    return sum;
  });
}

/** mask/(max(Σ mask, 1)·neurons) within each example of `seq` positions. */
export function positionWeights(mask: Values, neurons: number, seq: number): number[] {
  return Array.from(mask, (m, i) => {
    const first = i - (i % seq);
    return m / (Math.max(mask.slice(first, first + seq).reduce((sum: number, x: number) => sum + x, 0), 1) * neurons);
  });
}

/** Layer norm, or RMS norm when `beta` is left out. */
export function norm(x: Values, gamma: Values, beta: Values | undefined, epsilon: number): number[] {
  const n = gamma.length;
  const y: number[] = [];
  for (let row = 0; row < x.length; row += n) {
    const z = x.slice(row, row + n);
    const mean = beta === undefined ? 0 : z.reduce((s, v) => s + v, 0) / n;
    const rstd = 1 / Math.sqrt(z.reduce((s, v) => s + (v - mean) ** 2, 0) / n + epsilon);
    z.forEach((v, i) => y.push((v - mean) * rstd * at(gamma, i) + (beta === undefined ? 0 : at(beta, i))));
  }
  return y;
}

/** softmax over rows of length n. */
export function softmax(x: Values, n: number): number[] {
  const y: number[] = [];
  for (let row = 0; row < x.length; row += n) {
    const z = x.slice(row, row + n);
    const top = Math.max(...z);
    const e = z.map((v) => Math.exp(v - top));
    const sum = e.reduce((s, v) => s + v, 0);
    y.push(...e.map((v) => v / sum));
  }
  return y;
}

/** Sizes and options of an attention. */
export interface AttentionCase {
  readonly batch: number;
  readonly queries: number;
  readonly keys: number;
  readonly heads: number;
  readonly dHead: number;
  readonly scale: number;
  readonly causal?: boolean;
  /** [batch, keys]. */
  readonly mask?: Values;
  readonly dropout?: { readonly probability: number; readonly seed: number };
}

/** Attention, head by head; a row whose keys are all masked is uniform. `bias` is [1 or batch, heads, queries, keys]. */
export function attention(q: Values, k: Values, v: Values, bias: Values | undefined, c: AttentionCase): number[] {
  const width = c.heads * c.dHead;
  const y = new Array<number>(c.batch * c.queries * width).fill(0);
  for (let row = 0; row < c.batch * c.heads * c.queries; row++) {
    const i = row % c.queries;
    const h = Math.floor(row / c.queries) % c.heads;
    const b = Math.floor(row / c.queries / c.heads);
    const p = probabilities(q, k, bias, c, { b, h, i });
    for (let j = 0; j < c.keys; j++) {
      const index = row * c.keys + j;
      const factor = c.dropout === undefined ? 1 : keeps(c.dropout.seed, index, c.dropout.probability) ? 1 / (1 - c.dropout.probability) : 0;
      for (let d = 0; d < c.dHead; d++) {
        const to = (b * c.queries + i) * width + h * c.dHead + d;
        y[to] = at(y, to) + at(p, j) * factor * at(v, (b * c.keys + j) * width + h * c.dHead + d);
      }
    }
  }
  return y;
}

function probabilities(q: Values, k: Values, bias: Values | undefined, c: AttentionCase, { b, h, i }: { b: number; h: number; i: number }): number[] {
  const width = c.heads * c.dHead;
  const biasRows = bias === undefined ? 0 : bias.length / (c.heads * c.queries * c.keys);
  const scores = Array.from({ length: c.keys }, (_, j) => {
    const masked = (c.mask !== undefined && at(c.mask, b * c.keys + j) === 0) || (c.causal === true && j > i + c.keys - c.queries);
    if (masked) return -3.4e38;
    let sum = 0;
    for (let d = 0; d < c.dHead; d++) sum += at(q, (b * c.queries + i) * width + h * c.dHead + d) * at(k, (b * c.keys + j) * width + h * c.dHead + d);
    const added = bias === undefined ? 0 : at(bias, (((biasRows === 1 ? 0 : b) * c.heads + h) * c.queries + i) * c.keys + j);
    return sum * c.scale + added;
  });
  return softmax(scores, c.keys);
}

/** Mean of −log softmax(logits)[label] over the rows whose label is not ignored. */
export function crossEntropy(logits: Values, labels: Values, ignored: number): number {
  const c = logits.length / labels.length;
  const p = softmax(logits, c);
  const rows = labels.map((label, i) => [label, i] as const).filter(([label]) => label !== ignored);
  return -rows.reduce((s, [label, i]) => s + Math.log(at(p, i * c + label)), 0) / rows.length;
}
